"""Videos as people record them: the inputs of public bug reports, made anew for each test.

    for row in rows():
        path = row.make(folder)

Does: name every input, say where it was reported and what is right, make its file with the wheel's
ffmpeg or by changing a few bytes.  Does not: check what a reader makes of it; tests do, and
`python -m tests.bench_real_files` lists what several readers do with each.

To add a row, write a function in the module of its subject (shown_files: what is shown and which
streams are read; timed_files: times) and put it into the tuple ROWS at the module's end:

    Row("frozen picture", "janus#2990", "every second from 0 to 26 is in one segment", frozen)

The function gets an empty folder and returns the path of the file that it wrote there.  It should
take about a second.  A new module goes into MODULES.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

MODULES = ("shown_files", "timed_files")
"""The modules that hold rows, in the order of the table."""


@dataclass(frozen=True)
class Row:
    """One input: `kind` in a few words, `reported` as repository#number, `right` the result."""

    kind: str
    reported: str
    right: str
    make: Callable[[Path], Path]


def rows() -> Iterator[Row]:
    """Yield every row of the modules that exist."""
    for module in MODULES:
        if find_spec(module) is not None:
            yield from import_module(module).ROWS

"""What several readers make of videos as people record them: `python -m tests.bench_real_files`.

Does: make each input of tests/media/real_world_files, have ours and its peers read it, each in a
process of its own, and write docs/benchmarks/<date>-real-files.md.  Does not: make inputs or judge
(see tests/bench/readers and rights), or time.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "media"))

from real_world_files import Row, rows

from mllm_affect.errors import UserError
from mllm_affect.files import write_text
from tests.bench.readers import READERS
from tests.bench.rights import RIGHTS
from tests.bench.ways import offer_ffmpeg

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
COMMAND = "python -m tests.bench_real_files"
PACKAGES = ("av", "decord", "opencv-python-headless", "torchcodec", "qwen-omni-utils")
PATIENCE_S = 120
TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+/")
SENTENCE = 160
"""Characters of an error's first line that the table shows."""


@dataclass(frozen=True)
class Cell:
    """What one reader made of an input; `verdict`: right, wrong, refused, failed, not loaded."""

    verdict: str
    facts: str
    warnings: Sequence[str] = ()


def read(reader: str, kind: str, path: Path) -> Cell:
    """Read one file in this process and judge it."""
    try:
        found = READERS[reader](path)
    except UserError as error:
        return Cell("refused", str(error))
    except (ImportError, OSError) as error:
        return Cell("not loaded", f"{type(error).__name__}: {first_line(error)}")
    except Exception as error:  # whatever a peer raises is what the table is to tell
        return Cell("failed", f"{type(error).__name__}: {first_line(error)}")
    right, facts = RIGHTS[kind](found, path)
    return Cell("right" if right else "wrong", facts, found.warnings)


def first_line(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = TEMPORARY.sub("", (lines or ["without words"])[0])
    return line[:SENTENCE].replace("|", "/")


def read_apart(reader: str, kind: str, path: Path) -> Cell:
    """Read one file in a process of its own: a peer may crash, hang or print."""
    words = [sys.executable, "-m", "tests.bench_real_files", "--read", reader, kind, str(path)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return Cell("failed", f"no answer in {PATIENCE_S} s")
    if done.returncode:
        return Cell("failed", f"its process ended with status {done.returncode}")
    return Cell(**json.loads(done.stdout.splitlines()[-1]))


def cells_of(row: Row, readers: Sequence[str]) -> dict[str, Cell]:
    """Make one input; return what every reader makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = row.make(Path(folder))
        return {reader: read_apart(reader, row.kind, path) for reader in readers}


def page(found: dict[str, dict[str, Cell]], listed: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the page."""
    readers = list(READERS)
    yield from (
        f"# Videos as people record them, {datetime.datetime.now(datetime.UTC).date()}", "",
        f"Written by `{COMMAND}`. Inputs are made by `tests/media/shown_files.py` and "
        "`timed_files.py` after public bug reports of neighbouring tools; readers are called as "
        "their documentation shows (`tests/bench/readers.py`); `tests/bench/rights.py` judges.",
        "", "torchcodec is no dependency: 0.17.0 from PyPI does not load beside the pinned torch, "
        "for it looks for FFmpeg's shared libraries (libavutil.so.56 to 60), which neither PyAV "
        "nor imageio-ffmpeg installs under these names. Where it is installed and loads, it is "
        "read.",
        "", ", ".join(f"{name} {installed(name)}" for name in PACKAGES) + ".", "",
    )  # fmt: skip
    counts = {name: Counter(found[row.kind][name].verdict for row in listed) for name in readers}
    yield from (f"| input | {' | '.join(readers)} |", f"|---|{'---|' * len(readers)}")
    for row in listed:
        cells = found[row.kind]
        yield f"| {row.kind} | {' | '.join(cells[name].verdict for name in readers)} |"
    right = (f"{counts[name]['right']} of {len(listed)}" for name in readers)
    yield from (f"| **right** | {' | '.join(right)} |", "")
    for row in listed:
        yield from (f"## {row.kind}", "", f"Reported: {row.reported}. Right: {row.right}.", "")
        for name, cell in found[row.kind].items():
            yield f"* {name}: {cell.verdict}; {cell.facts}"
            yield from (f"  * says: {sentence}" for sentence in cell.warnings)
        yield ""


def installed(name: str) -> str:
    """The version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def main() -> None:
    """Read one file for a parent process, or make the page."""
    parser = argparse.ArgumentParser(description="Compare readers on real-world videos.")
    parser.add_argument("--read", nargs=3, metavar=("READER", "KIND", "FILE"))
    parser.add_argument("--only", default="", help="inputs whose name contains this")
    parser.add_argument("--print", action="store_true", help="print the page, write no file")
    asked = parser.parse_args()
    if asked.read:
        reader, kind, path = asked.read
        told = os.dup(1)
        os.dup2(2, 1)  # what libraries print does not mix with the answer
        cell = read(reader, kind, Path(path))
        os.write(told, json.dumps(cell.__dict__).encode() + b"\n")
        return
    listed = [row for row in rows() if asked.only in row.kind]
    with tempfile.TemporaryDirectory() as tools:
        offer_ffmpeg(Path(tools))  # for the processes that are started here
        found = {row.kind: cells_of(row, list(READERS)) for row in listed}
    text = "\n".join(page(found, listed))
    if asked.print:
        sys.stdout.write(text)
        return
    write_text(DOCS / f"{datetime.datetime.now(datetime.UTC).date()}-real-files.md", text)


if __name__ == "__main__":
    main()

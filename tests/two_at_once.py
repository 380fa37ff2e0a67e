"""Which tests run in one process when two processes share them (`pytest --numprocesses 2`).

Does: keep each test file in one process, so that what its fixtures made serves all of it; keep all
files that ask the shared model server in the same one, so that it is started once; begin with the
longest; measure coverage of no more tests than it takes; on request (`--begin-within`) begin no
test late, and say which those are.  Does not: change anything else in a run of one process.

Groups by mark (`--dist loadgroup` of pytest-xdist 3.8.0) do nothing under pytest 9.2, which no
longer lets a plugin rename a test; hence a scheduler that reads the file's name.
"""

import time
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
ASKING = ("running_engine", "vllm_engine")
"""The fixtures of the shared model server."""
UNMEASURED = {"finetune", "eval", "page"}
"""Folders whose tests take longer under coverage and add two points to 92 % of lines: what they are
about is not measured, or is measured by other tests too."""


@cache
def group(file: str) -> str:
    """The model server's group, or the file itself."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return "model server" if any(fixture in text for fixture in ASKING) else file


class FileScheduling(LoadScopeScheduling):
    """Gives whole groups of files to one process, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.split("::", 1)[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling:
    """Replace the scheduler that `--dist` names."""
    config.option.loadscopereorder = False
    return FileScheduling(config, log)


BEGUN = time.monotonic()
CHAIN_SECONDS = 700
"""So much longer than any other test takes one of a whole chain: it must begin that much sooner."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where a machine is lent for an hour, better some tests not run than no result."""
    what = "skip what has not begun so many seconds after the start, by name"
    parser.addoption("--begin-within", type=float, metavar="SECONDS", help=what)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hold the tests to `--begin-within`."""
    seconds = item.config.getoption("begin_within")
    if seconds is None:
        return
    latest = seconds - (CHAIN_SECONDS if _is_chain(item.path.name) else 0)
    if time.monotonic() - BEGUN > latest:
        pytest.skip(f"NOT RUN: {item.nodeid} would have begun after {latest:.0f} s")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the long groups to the front; files keep their order within each."""
    items.sort(key=lambda item: _place(item.nodeid.split("::", 1)[0]))
    for item in items:
        if UNMEASURED & {part.name for part in item.path.parents}:
            item.add_marker("no_cover")


def _is_chain(name: str) -> bool:
    return name.startswith("test_rebuild")


def _place(file: str) -> int:
    """Whole chains first, the model server, then training and the miniature, then the rest."""
    if _is_chain(Path(file).name):
        return -1
    if group(file) != file:
        return 0
    return 1 if Path(file).parent.name in {"finetune", "model"} else 2

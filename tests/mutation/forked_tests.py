"""Tests run in a forked child of a process that has the libraries loaded already.

Does: run chosen tests in a tree, until the first failure, within limits of time and memory; tell
which test failed; measure lines by test.  Does not: let a child use a module of this project that
the parent has loaded; every child loads its own, mutant or not.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.coverage_map import test_function

PRELOADED = (
    "av",
    "cv2",
    "fastapi",
    "httpx",
    "hypothesis",
    "matplotlib.figure",
    "numpy",
    "PIL.Image",
    "pydantic",
    "rich.console",
    "rouge_score.rouge_scorer",
    "sacrebleu",
    "scipy.optimize",
    "scipy.signal",
    "scipy.stats",
    "sklearn.metrics",
    "typer.testing",
    "yaml",
)
"""Libraries that most tests need: a child starts with them."""

OURS = ("mllm_affect", "finetune", "serve", "eval", "tests")
PLUGINS = ("pytest_timeout", "pytest_cov", "xdist.plugin", "_hypothesis_pytestplugin")
"""Of pytest: what the tests need; loading all that are installed takes seconds."""

INTERRUPTED, CRASHED = 2, 71
"""Exit statuses: pytest's own where a module cannot be imported, and ours for a fatal signal."""

MEMORY_BYTES = 8 << 30
GRACE_S = 60.0
"""Wall-clock seconds beyond the processor seconds: other programs share the machine."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run of tests."""

    kind: str
    """`killed`, `survived` or `timed out`."""
    seconds: float
    by: str = ""
    """The first test that failed, or what failed before any test."""


def preload() -> None:
    """Load the libraries, and have hypothesis draw the same examples in every child."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in PRELOADED:
        importlib.import_module(name)
    from hypothesis import settings

    settings.register_profile("mutation", deadline=None, derandomize=True, database=None)
    settings.load_profile("mutation")


def run_chosen(tree: Path, tests: Sequence[str], cpu_s: float) -> Outcome:
    """Run these test functions until one fails, and say what became of them.

    `tests` are ids without parameters; `cpu_s` bounds the processor time.  Raises RuntimeError
    where pytest ends otherwise than by a failed test: what ran then says nothing about the mutant.
    """
    begun = time.monotonic()
    first = tree / "runs" / "first_failure"
    first.parent.mkdir(exist_ok=True)
    first.unlink(missing_ok=True)
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))

    def child() -> int:
        return _pytest(["-x", *files], [_Chosen(frozenset(tests)), _FirstFailure(first)])

    status = _in_child(tree, child, cpu_s)
    by = first.read_text(encoding="utf-8") if first.exists() else ""
    seconds = time.monotonic() - begun
    if status is None:
        return Outcome("timed out", seconds, by)
    if status == 0:
        return Outcome("survived", seconds)
    if not by and status not in (CRASHED, INTERRUPTED):
        raise _did_not_run(tree, status)
    return Outcome("killed", seconds, by or f"exit status {status}")


def run_measured(
    tree: Path, tests: Sequence[str], markers: str, data: Path, measured: Sequence[str]
) -> tuple[dict[str, float], set[str]]:
    """Run all tests with a coverage context for each; return seconds and failures by function.

    Writes the coverage data file `data`; `measured` are the folders whose lines count.
    Raises RuntimeError where the tests could not be run.
    """
    durations = tree / "runs" / "durations.json"
    durations.parent.mkdir(exist_ok=True)
    settings = tree / "runs" / "coveragerc"
    sources = "\n  ".join(str(tree / folder) for folder in measured)
    settings.write_text(f"[run]\nsource =\n  {sources}\ndata_file = {data}\n", encoding="utf-8")
    words = ["-m", markers, "--cov", f"--cov-config={settings}", "--cov-context=test"]
    words += ["--cov-report=", *tests]

    def child() -> int:
        return _pytest(words, [_Durations(durations)])

    status = _in_child(tree, child, cpu_s=3600.0)
    if status not in (0, 1):
        raise _did_not_run(tree, status)
    kept = json.loads(durations.read_text(encoding="utf-8"))
    return kept["seconds"], set(kept["failed"])


def _did_not_run(tree: Path, status: int | None) -> RuntimeError:
    """Return the error with the end of what pytest printed."""
    output = (tree / "runs" / "output").read_text(encoding="utf-8", errors="replace")
    return RuntimeError(f"the tests did not run, with exit status {status}:\n{output[-3000:]}")


class _Chosen:
    """Keeps the chosen test functions, in the order of their files."""

    def __init__(self, tests: frozenset[str]) -> None:
        self._tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if test_function(item.nodeid) in self._tests]


class _FirstFailure:
    """Writes down the first test, or file of tests, that fails."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._keep(report.nodeid, str(report.longrepr))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._keep(report.nodeid, str(report.longrepr))

    def _keep(self, test: str, why: str) -> None:
        if not self._path.exists():
            last = [line for line in why.splitlines() if line.startswith("E ")]
            self._path.write_text(f"{test}: {last[0][1:].strip() if last else why[-200:]}")


class _Durations:
    """Sums seconds by test function, and writes them at the end with the failures.

    Lets all tests be measured: `make test` leaves out folders that take too long under coverage.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.own_markers = [mark for mark in item.own_markers if mark.name != "no_cover"]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = test_function(report.nodeid)
        self._seconds[test] = self._seconds.get(test, 0.0) + report.duration
        if report.failed:
            self._failed.add(test)

    def pytest_sessionfinish(self) -> None:
        kept = {"seconds": self._seconds, "failed": sorted(self._failed)}
        self._path.write_text(json.dumps(kept), encoding="utf-8")


def _pytest(words: Sequence[str], plugins: list[Any]) -> int:
    """Run pytest in the current folder, with the plugins that these tests need."""
    named = [word for name in PLUGINS for word in ("-p", name)]
    quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "--tb=short"]
    return int(pytest.main([*named, *quiet, *words], plugins=plugins))


def _in_child(tree: Path, work: Callable[[], int], cpu_s: float) -> int | None:
    """Run `work` in a forked child in `tree`; return its status, None where time ran out.

    What it prints goes to `runs/output` in the tree.
    """
    child = os.fork()
    if child == 0:
        status = 70
        try:
            _settle(tree, cpu_s)
            status = work()
        finally:
            sys.stdout.flush()
            os._exit(status)
    late = time.monotonic() + 5 * cpu_s + GRACE_S
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None
            time.sleep(0.01)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        raise
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # children that a failed test left behind
    if os.WIFSIGNALED(status):
        return None if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else CRASHED
    return os.WEXITSTATUS(status)


def _settle(tree: Path, cpu_s: float) -> None:
    """Make this forked child one that works in `tree`, within limits."""
    os.setsid()
    os.chdir(tree)
    output = os.open(tree / "runs" / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    seconds = int(cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    sys.path[:] = [str(tree), *_outside_the_working_tree(tree)]
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]  # the tree has its own
    sys.dont_write_bytecode = True
    os.environ.update(PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE="1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"


def _outside_the_working_tree(tree: Path) -> Iterator[str]:
    """Yield the import path without folders that hold this project's modules."""
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if not (folder / "mllm_affect").is_dir() and folder != tree:
            yield entry

"""The package is light: who imports it or asks for help waits for nothing heavy.

Times are the best of several runs: other work on the machine only ever adds to them.
"""

import resource
import subprocess
import sys

import pytest

from eval.figures.measuring import import_seconds

HEAVY = ("torch", "transformers", "vllm", "swift", "av", "cv2", "pandas", "matplotlib", "scipy")


@pytest.mark.parametrize("module", ["mllm_affect", "mllm_affect.cli.app", "mllm_affect.errors"])
def test_nothing_heavy_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_import_takes_at_most_150_ms() -> None:
    assert import_seconds() <= 0.150


def test_help_is_quick() -> None:
    """Half a second is held by `make figures`, alone on the machine; here others share the cores,
    so the processor's time is taken, with room for what sharing costs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "mllm_affect", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 1.2

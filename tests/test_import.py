"""The package is light: who imports it or asks for help waits for nothing heavy.

Times are the best of several runs: other work on the machine only ever adds to them.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from eval.figures.measuring import help_seconds, import_seconds

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


def test_help_takes_at_most_half_a_second() -> None:
    assert (Path(sys.executable).parent / "mllm-affect").is_file()
    assert help_seconds() <= 0.5

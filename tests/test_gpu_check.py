"""The GPU check's rehearsal on a CPU: every step runs, and its page has every table."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.rebuild
@pytest.mark.timeout(600)
def test_the_rehearsal_fills_every_table(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    words = [sys.executable, "-m", "tests.gpu_check", "--small", "--out", str(page)]
    root = Path(__file__).parents[1]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, timeout=580)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Weights", "## Eight clips asked together", "## Vision tower", "## LoRA steps",
        "## Merged against adapter", "## Evidence projector",
    ]  # fmt: skip
    shares = [line.split("|")[2] for line in text.splitlines() if line.startswith("| torch.")]
    bfloat16, float32 = map(float, shares)
    assert bfloat16 < 0.2 < 0.9 < float32

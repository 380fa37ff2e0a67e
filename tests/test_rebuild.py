"""The long runs: the miniature from random weights, and the whole demonstration.

Both are held to the figures that the manifest and the README promise.  Minutes each; `make
test-slow` and continuous integration run them.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from eval.figures.claim import Claim
from eval.figures.claims import CLAIMS, DEMO
from mllm_affect.model.miniature import embedded_checkpoint
from tests.real_videos import fetch, real_video

pytestmark = [pytest.mark.rebuild, pytest.mark.timeout(1800)]

CHANCE_AT_MOST = 0.60
MAY_FALL = 0.15
"""Another processor adds numbers in another order and ends with other weights, as with another
seed, over which what is seen of gaze and emotion varies (docs/miniature.md)."""
AH_MAY_FALL = 0.03
"""What the miniature is for comes out alike."""
SECONDS_TIMES = 3.0
"""Others share the cores here, which may be slow; `make figures` holds the seconds themselves."""


def run(*words: str) -> Any:
    """Run the program; return the JSON of its last line."""
    command = [sys.executable, "-m", "mllm_affect", *words, "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_miniature_rebuilt_from_random_weights_reaches_the_shipped_figures(tmp_path: Path) -> None:
    shipped = json.loads((embedded_checkpoint() / "manifest.json").read_text(encoding="utf-8"))
    seed = str(shipped["plan"]["seed"])
    rebuilt = run("miniature", "build", "--out", str(tmp_path / "miniature"), "--seed", seed)
    for name, noted in shipped["figures"].items():
        if name.startswith("ah_without"):
            assert rebuilt["figures"][name] <= CHANCE_AT_MOST, name
        else:
            may_fall = AH_MAY_FALL if name == "ah" else MAY_FALL
            assert rebuilt["figures"][name] >= noted - may_fall, name
    assert run("miniature", "check", str(tmp_path / "miniature"))["problems"] == []


def test_demonstration_reaches_the_promised_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch()
    monkeypatch.chdir(tmp_path)  # where `make figures` looks for the demonstration's figures
    figures = run("demo", "--out", "runs/demo", "--real-video", str(real_video("talking")))
    claims = [claim for claim in CLAIMS if claim.command == DEMO]
    missed = {
        claim.name: value
        for claim in claims
        if not claim.goal.reached(value := claim.measure() / slack(claim))
    }
    assert missed == {}
    assert figures["seed"] == 0
    page = (tmp_path / "runs/demo/report.html").read_text(encoding="utf-8")
    assert page.count("<img") + page.count("<svg") >= 3
    assert no_process_is_left_below(tmp_path)


def slack(claim: Claim) -> float:
    return SECONDS_TIMES if claim.unit == "s" else 1.0


def no_process_is_left_below(folder: Path) -> bool:
    """Whether no running program has `folder` among its arguments."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            return False
    return True

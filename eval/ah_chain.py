"""The README's commands from a release of BAH to a challenge file, run on made data.

Does: run them one after the other as a user would, and gather what they found.  Does not: hold
goals (see figures).  The figures are kept in `figures.json` and made again when code changes.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.predictions import read_predictions
from eval.provenance import code_hash
from eval.summary import summarise
from mllm_affect.files import write_json
from mllm_affect.scoring.scoring_file import read_scoring

MADE = "mllm-affect make bah --out runs/bah"
COMMANDS = (
    "mllm-affect prepare runs/bah --fps 4 --max-pixels 4096 --out runs/clips",
    "mllm-affect validate bah runs/bah",
    "mllm-affect finetune run --config miniature-ah --data runs/bah --cache runs/clips "
    "--out runs/ah",
    "mllm-affect evaluate ah --data runs/bah --split test --model runs/ah/merged "
    "--cache runs/clips --out runs/ah-test",
    "mllm-affect export abaw-ah --predictions runs/ah-test/predictions.jsonl "
    "--order runs/bah/split/test.txt --out runs/ah-test/trial-0.txt",
)
"""The five commands, and before them the one that makes a release where there is none."""

WRITTEN = ("bah", "clips", "ah", "ah-test")
FIGURES = "ah-figures.json"


def chain_figures(folder: Path) -> Mapping[str, Any]:
    """Return the figures of the chain run in `folder` by this code, running it if there are none.

    Raises subprocess.CalledProcessError when a command fails.
    """
    path = folder / "runs" / FIGURES
    if path.is_file():
        figures: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if figures.get("code") == code_hash():
            return figures
    for name in WRITTEN:
        shutil.rmtree(folder / "runs" / name, ignore_errors=True)
    seconds = {}
    for command in (MADE, *COMMANDS):
        start = time.perf_counter()
        words = command.split()[1:]
        subprocess.run([sys.executable, "-m", "mllm_affect", *words], cwd=folder, check=True)
        seconds[" ".join(words[:2])] = round(time.perf_counter() - start, 1)
    found = {**gather(folder / "runs"), "seconds": seconds, "code": code_hash()}
    write_json(path, found)
    return found


def gather(runs: Path) -> dict[str, Any]:
    """Return what the commands left in `runs`: the model, the priors, calibration, the file."""
    metrics = json.loads((runs / "ah-test" / "metrics.json").read_text(encoding="utf-8"))
    predictions = read_predictions(runs / "ah-test" / "predictions.jsonl")
    before = summarise([replace(row, probabilities=row.uncalibrated) for row in predictions])
    scoring = read_scoring(runs / "ah" / "merged").tasks["ah"]
    priors = {
        prior["name"]: prior["scores"]["macro_f1"]
        for prior in metrics["details"]["priors"]
        if prior["scores"]
    }
    return {
        "videos": metrics["videos"],
        "participants": metrics["participants"],
        "macro_f1": metrics["macro_f1"],
        "macro_f1_interval": metrics["macro_f1_interval"],
        "priors": priors,
        "strongest_prior": max(priors.values()),
        "calibration_error": metrics["calibration_error"],
        "calibration_error_before": before.calibration_error,
        "pooling": scoring.pooling,
        "folds": scoring.choice.folds,
        "submission_lines": len((runs / "ah-test" / "trial-0.txt").read_text().splitlines()),
    }

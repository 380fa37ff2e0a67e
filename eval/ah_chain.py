"""The README's commands from a release of BAH to a challenge file, run on made data.

Does: run them one after the other as a user would, and gather what they found.  Does not: hold
goals (see figures).  The figures are kept in `figures.json` and made again when code changes.

`python -m eval.ah_chain --seeds 0 1 2` runs them once a seed, of people and training alike,
and prints mean and range of each figure.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.predictions import read_predictions
from eval.provenance import code_hash
from eval.summary import summarise
from mllm_affect.files import write_json
from mllm_affect.scoring.scoring_file import read_scoring

MADE = "mllm-affect make bah --out runs/bah"
COMMANDS = (
    "mllm-affect prepare runs/bah --model miniature --out runs/clips",
    "mllm-affect validate bah runs/bah",
    "mllm-affect finetune run --config miniature-ah --data runs/bah --cache runs/clips "
    "--out runs/ah",
    "mllm-affect evaluate ah --data runs/bah --split test --model runs/ah/merged "
    "--cache runs/clips --out runs/ah-test",
    "mllm-affect export abaw-ah --predictions runs/ah-test/predictions.jsonl "
    "--order runs/bah/split/test.txt --out runs/ah-test/trial-0.txt",
)
"""The five commands, and before them the one that makes a release where there is none."""

RANGED = {
    "macro_f1": "macro-F1",
    "strongest_prior": "strongest prior, macro-F1",
    "calibration_error": "calibration error",
    "calibration_error_before": "calibration error before calibration",
}
"""What is told of several seeds, with its name."""

WRITTEN = ("bah", "clips", "ah", "ah-test")
FIGURES = "ah-figures.json"


def seeded(command: str, seed: int) -> str:
    """Return a command of the chain for another seed; 0 is the one that the README shows."""
    if not seed:
        return command
    if command == MADE:
        return f"{command} --seed {seed}"
    return f"{command} --set seed={seed}" if "finetune run" in command else command


def chain_figures(folder: Path, seed: int = 0) -> Mapping[str, Any]:
    """Return the figures of the chain run in `folder` by this code, running it if there are none.

    Raises subprocess.CalledProcessError when a command fails.
    """
    path = folder / "runs" / FIGURES
    if path.is_file():
        figures: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (figures.get("code"), figures.get("seed")) == (code_hash(), seed):
            return figures
    for name in WRITTEN:
        shutil.rmtree(folder / "runs" / name, ignore_errors=True)
    seconds = {}
    for command in (MADE, *COMMANDS):
        start = time.perf_counter()
        words = seeded(command, seed).split()[1:]
        subprocess.run([sys.executable, "-m", "mllm_affect", *words], cwd=folder, check=True)
        seconds[" ".join(words[:2])] = round(time.perf_counter() - start, 1)
    found = {**gather(folder / "runs"), "seed": seed, "seconds": seconds, "code": code_hash()}
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


def table(figures: Mapping[int, Mapping[str, Any]]) -> str:
    """Return mean and range of each figure over seeds, as the rows of a Markdown table."""
    lines = ["| figure | mean | lowest | highest |", "|---|---|---|---|"]
    for key, name in RANGED.items():
        values = [float(found[key]) for found in figures.values()]
        lines.append(f"| {name} | {fmean(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the chain once a seed and print what was found."""
    parser = argparse.ArgumentParser(description="The README's commands on made releases of BAH.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/ah-seeds"))
    chosen = parser.parse_args()
    figures = {}
    for seed in chosen.seeds:
        folder = chosen.out / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        figures[seed] = chain_figures(folder, seed)
        print(f"seed {seed}: {json.dumps({key: figures[seed][key] for key in RANGED})}", flush=True)  # noqa: T201
    print(table(figures))  # noqa: T201


if __name__ == "__main__":
    main()

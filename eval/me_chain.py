"""The README's commands from the challenge's files to submissions, run on made data.

Does: run them one after the other as a user would, for both tasks, and gather what they found.
Does not: hold goals (see figures).  The figures are kept in `me-figures.json` and made again when
code changes.
"""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.provenance import code_hash
from mllm_affect.files import write_json

MADE = (
    "mllm-affect make megc --subjects 8 --clips-each 6 --test-clips 16 --long-videos 4 "
    "--out runs/megc"
)
TUNED = "mllm-affect finetune run --config miniature-me --data runs/megc --trusted --out runs/me"

TASKS = ("vqa", "lvqa")


def task_commands(task: str) -> tuple[str, str, str]:
    """Return the commands that predict, evaluate and export one task."""
    out = f"runs/me-{task}"
    train, said = "--train runs/megc/train", f"--predictions {out}/predictions.jsonl"
    return (
        f"mllm-affect predict megc --task {task} --questions runs/megc/test {train} "
        f"--clips runs/megc/clips --trusted --model runs/me/model --out {out}",
        f"mllm-affect evaluate megc --task {task} --truth runs/megc/test/truth {train} "
        f"{said} --out {out}",
        f"mllm-affect export megc --task {task} --questions runs/megc/test {train} "
        f"{said} --out {out}/submission.zip",
    )


COMMANDS = (TUNED, *task_commands("vqa"), *task_commands("lvqa"))
"""One that trains both tasks, then three for each."""

ALONE = (
    task_commands("vqa")[0].replace("--out runs/me-vqa", "--alone --out runs/me-vqa-alone"),
    "mllm-affect evaluate megc --task vqa --truth runs/megc/test/truth "
    "--predictions runs/me-vqa/predictions.jsonl --against runs/me-vqa-alone/predictions.jsonl "
    "--out runs/me-vqa-alone",
)
"""The ablation: each question answered by itself, and one profile a clip compared with that."""

WRITTEN = ("megc", "me", "me-vqa", "me-lvqa", "me-vqa-alone")
FIGURES = "me-figures.json"


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
    seconds: dict[str, float] = {}
    for command in (MADE, *COMMANDS, *ALONE):
        start = time.perf_counter()
        words = command.split()[1:]
        subprocess.run([sys.executable, "-m", "mllm_affect", *words], cwd=folder, check=True)
        named = " ".join(words[:2] if words[1] == "run" else [*words[:2], *_task(words)])
        seconds[named] = seconds.get(named, 0.0) + round(time.perf_counter() - start, 1)
    found = {**gather(folder / "runs"), "seconds": seconds, "code": code_hash()}
    write_json(path, found)
    return found


def gather(runs: Path) -> dict[str, Any]:
    """Return what the commands left in `runs`: figures of both tasks, their floors, the files.

    `joint`: answers from one profile a clip against answers one by one.
    """
    alone = json.loads((runs / "me-vqa-alone" / "metrics.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {"joint": alone["against"]}
    for task in TASKS:
        metrics = json.loads((runs / f"me-{task}" / "metrics.json").read_text(encoding="utf-8"))
        figures = {item["name"]: item["value"] for item in metrics["figures"]}
        with zipfile.ZipFile(runs / f"me-{task}" / "submission.zip") as archive:
            names = sorted(archive.namelist())
        found[task] = {
            "clips": metrics["clips"],
            "figures": figures,
            "floor": metrics["floor"],
            "unanswered": metrics["unanswered"],
            "submission": names,
        }
    return found


def _task(words: list[str]) -> list[str]:
    return words[words.index("--task") + 1 :][:1] if "--task" in words else []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(chain_figures(Path()), indent=2) + "\n")

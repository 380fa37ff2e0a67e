"""What each part of the evidence projector brings on made clips: `python -m eval.units.ablation`.

Does: for each seed make clips, give the miniature a projector (whole, or with a part replaced),
train and evaluate it by the commands a user would give, and print a table with intervals over
seeds.  Does not: hold goals, or say anything about real faces.

A stopped run goes on: what was measured by the same code is kept in `figures.json` of its folder.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from eval.provenance import code_hash
from eval.units.summary import METRICS
from mllm_affect.files import write_json, write_text

FIGURES, TABLE = "figures.json", "ablation.md"
PEOPLE, CLIPS_EACH = "24,8,10", 28
STUDENT_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}
"""The 97.5 % point of Student's t for so many seeds."""


@dataclass(frozen=True)
class Variant:
    """One way to train: settings of the projector, weight of CCR, on shifted data or not."""

    name: str
    title: str
    settings: tuple[str, ...] = ()
    counterfactual: float | None = None
    shifted: bool = False
    flow: bool = False


WHOLE, PLAIN = "whole", "plain"
SHIFTED, SHIFTED_PLAIN = "shifted", "shifted-no-ccr"
VARIANTS = (
    Variant(WHOLE, "whole projector", flow=True),
    Variant(PLAIN, "plain miniature: neither token", ("given=[]",)),
    Variant("concat", "concat-MLP for MGE-EFP", ("fusion=concat",)),
    Variant("dense", "dense graph", ("graph=dense",)),
    Variant("no-graph", "no messages in the graph", ("graph=none",)),
    Variant("no-ccr", "no CCR", counterfactual=0.0),
    Variant(SHIFTED, "light misleads, CCR", shifted=True),
    Variant(SHIFTED_PLAIN, "light misleads, no CCR", counterfactual=0.0, shifted=True),
)


def measure(variant: Variant, seed: int, out: Path, recipe: Sequence[str]) -> Mapping[str, Any]:
    """Return the figures of one variant and seed, training it unless it was by this code.

    Raises subprocess.CalledProcessError when a command fails.
    """
    folder = out / f"seed-{seed}" / variant.name
    kept = folder / FIGURES
    facts = {"code": code_hash(), "recipe": list(recipe)}
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if found["facts"] == facts:
            return found
    data, cache = _data(variant, seed, out), out / "clips"
    base, trained = folder / "base", folder / "trained"
    if folder.exists():
        import shutil

        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    settings = [word for setting in variant.settings for word in ("--set", setting)]
    if variant.counterfactual is not None:
        settings += ["--counterfactual", str(variant.counterfactual)]
    _run(folder, "evidence", "add", "--out", str(base), "--seed", str(seed), *settings)
    _run(
        folder, "finetune", "run", "--config", "miniature-au", "--model", str(base), "--data",
        str(data), "--trusted", "--cache", str(cache), "--out", str(trained),
        "--set", f"seed={seed}", "--set", "check_merge=0", *recipe,
    )  # fmt: skip
    _run(
        folder, "evaluate", "au", "--data", str(data), "--model", str(trained / "merged"),
        "--trusted", "--cache", str(cache), "--out", str(folder), "--seed", str(seed),
        "--flow" if variant.flow else "--no-flow",
    )  # fmt: skip
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    found = {"facts": facts, "metrics": metrics}
    write_json(kept, found)
    return found


def _data(variant: Variant, seed: int, out: Path) -> Path:
    return out / f"seed-{seed}" / ("clips-shifted" if variant.shifted else "clips")


def _make(variants: Sequence[Variant], seed: int, out: Path) -> None:
    """Make the clips of a seed where they are missing."""
    for shifted in sorted({variant.shifted for variant in variants}):
        data = out / f"seed-{seed}" / ("clips-shifted" if shifted else "clips")
        if (data / "examples.jsonl").is_file():
            continue
        data.parent.mkdir(parents=True, exist_ok=True)
        words = ["--seed", str(seed), "--people", PEOPLE, "--clips-each", str(CLIPS_EACH)]
        words += ["--shifted"] if shifted else []
        _run(data.parent, "make", "units", "--out", str(data), *words)


def _run(folder: Path, *words: str) -> None:
    with (folder / "log.txt").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "mllm_affect", *words, "--json"], check=True,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


Values = dict[int, float]
"""One figure by seed."""


def values_of(figures: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Values]:
    """Return mean binary F1 by what was done and seed, with the baseline and muted tokens."""
    rows: dict[str, Values] = {}
    for name, by_seed in figures.items():
        rows[name] = {seed: found["metrics"]["scores"]["f1"] for seed, found in by_seed.items()}
    for seed, found in figures.get(WHOLE, {}).items():
        metrics = found["metrics"]
        rows.setdefault("always", {})[seed] = metrics["scores"]["always_f1"]
        if metrics["flow"]:
            rows.setdefault("flow", {})[seed] = metrics["flow"]["f1"]
        for leaning in metrics["leanings"]:
            rows.setdefault(f"without {leaning['token']}", {})[seed] = leaning["scores"]["f1"]
    return rows


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds, by Student's t; a single value has none."""
    if len(values) not in STUDENT_975:
        return float("nan"), float("nan")
    half = STUDENT_975[len(values)] * stdev(values) / len(values) ** 0.5
    return fmean(values) - half, fmean(values) + half


def table(rows: Mapping[str, Values]) -> str:
    """Return the table in Markdown; each row is compared with its own reference, by seed."""
    titles = {variant.name: variant.title for variant in VARIANTS}
    titles |= {
        "always": "saying “shown” always", "flow": "optical-flow baseline",
        "without content token": "whole, CT zero when asked",
        "without instruction token": "whole, IT zero when asked",
    }  # fmt: skip
    lines = [
        "| | binary F1 | lowest to highest | the whole is higher by | 95 % interval | says |",
        "|---|---|---|---|---|---|",
    ]
    for name in (*rows,):
        values = list(rows[name].values())
        reference = SHIFTED if name == SHIFTED_PLAIN else WHOLE
        start = f"| {titles[name]} | {fmean(values):.3f} | {min(values):.3f} to {max(values):.3f} |"
        if name in (WHOLE, SHIFTED) or reference not in rows:
            lines.append(f"{start} | | |")
            continue
        gains = [rows[reference][seed] - value for seed, value in rows[name].items()]
        low, high = interval(gains)
        lines.append(
            f"{start} {fmean(gains):+.3f} | {low:+.3f} to {high:+.3f} | {_says(low, high)} |"
        )
    return "\n".join(lines)


def _says(low: float, high: float) -> str:
    if low > 0:
        return "it helps"
    return "it harms" if high < 0 else "nothing shown"


def main(words: Sequence[str] | None = None) -> None:
    """Train, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[variant.name for variant in VARIANTS])
    parser.add_argument("--at-once", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--out", type=Path, default=Path("runs/au-ablation"))
    parser.add_argument("--set", action="append", default=[], help="a recipe field that differs")
    chosen = parser.parse_args(words)
    recipe = [word for setting in chosen.set for word in ("--set", setting)]
    variants = [variant for variant in VARIANTS if variant.name in chosen.only]
    jobs = [(variant, seed) for seed in chosen.seeds for variant in variants]
    for seed in chosen.seeds:
        _make(variants, seed, chosen.out)
    figures: dict[str, dict[int, Mapping[str, Any]]] = {}

    def one(job: tuple[Variant, int]) -> Mapping[str, Any]:
        found = measure(*job, chosen.out, recipe)
        score = found["metrics"]["scores"]["f1"]
        print(f"seed {job[1]}, {job[0].title}: binary F1 {score:.3f}", flush=True)  # noqa: T201
        return found

    with ThreadPoolExecutor(chosen.at_once) as pool:
        for (variant, seed), found in zip(jobs, pool.map(one, jobs), strict=True):
            figures.setdefault(variant.name, {})[seed] = found
    text = table(values_of(figures))
    write_text(chosen.out / TABLE, text + "\n")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()

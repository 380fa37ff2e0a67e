"""What each part of the evidence projector brings on made clips: `python -m eval.units.ablation`.

Does: for each seed make clips, give the miniature a projector (whole, or with a part replaced),
train and evaluate it by the commands a user would give, and print a table with intervals over
seeds.  Does not: hold goals, or say anything about real faces.

A stopped run goes on: what was measured by the same code is kept in `figures.json` of its folder.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.provenance import code_hash
from eval.units.summary import METRICS
from mllm_affect.files import write_json, write_text

FIGURES, TABLE = "figures.json", "ablation.md"
PEOPLE, CLIPS_EACH = "24,8,10", 28


@dataclass(frozen=True)
class Variant:
    """One way to train: settings of the projector, weight of CCR, on shifted data or not.

    `beside`: also train the flow baseline, and read with each token set to zero.
    """

    name: str
    title: str
    settings: tuple[str, ...] = ()
    counterfactual: float | None = None
    shifted: bool = False
    beside: bool = False


WHOLE, PLAIN = "whole", "plain"
SHIFTED, SHIFTED_PLAIN = "shifted", "shifted-no-ccr"
VARIANTS = (
    Variant(WHOLE, "whole projector", beside=True),
    Variant(PLAIN, "plain miniature: neither token", ("given=[]",)),
    Variant("concat", "concat-MLP for MGE-EFP", ("fusion=concat",)),
    Variant("dense", "dense graph", ("graph=dense",)),
    Variant("no-graph", "no messages in the graph", ("graph=none",)),
    Variant("no-ccr", "no CCR", counterfactual=0.0),
    Variant(SHIFTED, "light misleads, CCR", shifted=True),
    Variant(SHIFTED_PLAIN, "light misleads, no CCR", counterfactual=0.0, shifted=True),
)


@dataclass(frozen=True)
class Study:
    """Where all is kept, and which recipe fields differ (words of `finetune run`)."""

    out: Path
    recipe: tuple[str, ...] = ()

    def clips(self, seed: int, shifted: bool) -> Path:
        """Return where the clips of a seed are."""
        return self.out / f"seed-{seed}" / ("clips-shifted" if shifted else "clips")

    def data(self, seed: int, shifted: bool) -> Path:
        """Return the folder of the clips of a seed, made anew when the code changed."""
        folder = self.clips(seed, shifted)
        facts = {"code": code_hash()}
        if _known(folder, facts) is None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            words = ["--seed", str(seed), "--people", PEOPLE, "--clips-each", str(CLIPS_EACH)]
            words += ["--shifted"] if shifted else []
            _run(folder.parent, "make", "units", "--out", str(folder), *words)
            write_json(folder / FIGURES, {"facts": facts})
        return folder

    def measure(self, variant: Variant, seed: int) -> Mapping[str, Any]:
        """Return the metrics of one variant and seed, training it unless it was by this code.

        Raises subprocess.CalledProcessError when a command fails; what it said is in log.txt.
        """
        folder = self.out / f"seed-{seed}" / variant.name
        facts = {"code": code_hash(), "recipe": list(self.recipe)}
        known = _known(folder, facts)
        if known is None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._train(variant, seed, folder)
            metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
            known = {"facts": facts, "metrics": metrics}
            write_json(folder / FIGURES, known)
        found: Mapping[str, Any] = known["metrics"]
        return found

    def _train(self, variant: Variant, seed: int, folder: Path) -> None:
        base, trained = folder / "base", folder / "trained"
        settings = [word for setting in variant.settings for word in ("--set", setting)]
        if variant.counterfactual is not None:
            settings += ["--counterfactual", str(variant.counterfactual)]
        _run(folder, "evidence", "add", "--out", str(base), "--seed", str(seed), *settings)
        shown = ["--data", str(self.data(seed, variant.shifted)), "--trusted"]
        shown += ["--cache", str(self.out / "clips")]
        _run(
            folder, "finetune", "run", "--config", "miniature-au", "--model", str(base), *shown,
            "--out", str(trained), "--set", f"seed={seed}", "--set", "check_merge=0", *self.recipe,
        )  # fmt: skip
        beside = () if variant.beside else ("--no-flow", "--no-leanings")
        _run(
            folder, "evaluate", "au", "--model", str(trained / "merged"), *shown,
            "--out", str(folder), "--seed", str(seed), *beside,
        )  # fmt: skip


def _known(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a folder keeps, if it was made under these facts."""
    path = folder / FIGURES
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept if kept.get("facts") == facts else None


def _run(folder: Path, *words: str) -> None:
    with (folder / "log.txt").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "mllm_affect", *words, "--json"], check=True,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


Values = dict[int, float]
"""One figure by seed."""


def values_of(metrics_of: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Values]:
    """Return mean binary F1 by what was done and seed, with the baseline and muted tokens."""
    rows: dict[str, Values] = {
        name: {seed: metrics["scores"]["f1"] for seed, metrics in by_seed.items()}
        for name, by_seed in metrics_of.items()
    }
    for seed, metrics in metrics_of.get(WHOLE, {}).items():
        rows.setdefault("always", {})[seed] = metrics["scores"]["always_f1"]
        rows.setdefault("flow", {})[seed] = metrics["flow"]["f1"]
        for leaning in metrics["leanings"]:
            rows.setdefault(f"without {leaning['token']}", {})[seed] = leaning["scores"]["f1"]
    return rows


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean over seeds, by Student's t; None for fewer than two."""
    from scipy.stats import sem, t

    if len(values) < 2:
        return None
    half = float(t.ppf(0.975, len(values) - 1) * sem(values))
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
        "| | binary F1 | lowest to highest | the whole is higher by | 95 % interval | the part |",
        "|---|---|---|---|---|---|",
    ]
    for name, by_seed in rows.items():
        values = list(by_seed.values())
        reference = SHIFTED if name == SHIFTED_PLAIN else WHOLE
        start = f"| {titles[name]} | {fmean(values):.3f} | {min(values):.3f} to {max(values):.3f} |"
        if name in (WHOLE, SHIFTED) or reference not in rows:
            lines.append(f"{start} | | |")
            continue
        gains = [rows[reference][seed] - value for seed, value in by_seed.items()]
        between = interval(gains)
        shown = "" if between is None else f"{between[0]:+.3f} to {between[1]:+.3f}"
        lines.append(f"{start} {fmean(gains):+.3f} | {shown} | {_says(between)} |")
    return "\n".join(lines)


def _says(between: tuple[float, float] | None) -> str:
    if between is None:
        return "one seed says nothing"
    low, high = between
    if low > 0:
        return "helps"
    return "harms" if high < 0 else "nothing shown"


def main(words: Sequence[str] | None = None) -> None:
    """Train, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[variant.name for variant in VARIANTS])
    parser.add_argument("--at-once", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--out", type=Path, default=Path("runs/au-ablation"))
    parser.add_argument("--set", action="append", default=[], help="a recipe field that differs")
    chosen = parser.parse_args(words)
    recipe = tuple(word for setting in chosen.set for word in ("--set", setting))
    study = Study(chosen.out, recipe)
    variants = [variant for variant in VARIANTS if variant.name in chosen.only]
    jobs = [(variant, seed) for seed in chosen.seeds for variant in variants]
    # Made beforehand: trainings at the same time share them.
    for seed, shifted in sorted({(seed, variant.shifted) for variant, seed in jobs}):
        study.data(seed, shifted)
    metrics_of: dict[str, dict[int, Mapping[str, Any]]] = {}

    def one(job: tuple[Variant, int]) -> Mapping[str, Any]:
        metrics = study.measure(*job)
        score = metrics["scores"]["f1"]
        print(f"seed {job[1]}, {job[0].title}: binary F1 {score:.3f}", flush=True)  # noqa: T201
        return metrics

    with ThreadPoolExecutor(chosen.at_once) as pool:
        for (variant, seed), metrics in zip(jobs, pool.map(one, jobs), strict=True):
            metrics_of.setdefault(variant.name, {})[seed] = metrics
    text = table(values_of(metrics_of))
    write_text(chosen.out / TABLE, text + "\n")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()

"""What each head knows under a light that misleads: `python -m eval.units.heads`.

Does: score each head of the checkpoints that the ablation trained (see ablation), with thresholds
of its own from people who are not tested, and print mean binary F1 by seed.  Does not: train.

CCR binds the head on CT and IT alone; the measured head reads the language model, which sees the
same frames through its vision tower as well.  Where CCR helps the first and not the second, the
language model took what misleads past the projector.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import get_args

from eval.run import choose
from eval.units.ablation import SHIFTED, SHIFTED_PLAIN, VARIANTS, Study, Values
from eval.units.kept import KeptReadings
from eval.units.measuring import TASK, thresholds
from eval.units.reading import Looking
from eval.units.scores import score_units
from mllm_affect.data.labelled import read_labelled
from mllm_affect.data.unit_labels import UNITS_LABEL
from mllm_affect.engine.unit_reader import Head, UnitReader
from mllm_affect.files import write_text
from mllm_affect.media.cache import open_cache
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.prompts import load_task

HEADS: tuple[Head, ...] = get_args(Head)
TITLES: dict[Head, str] = {
    "answer": "language model, before its answer: the measured one",
    "evidence": "CT and IT alone",
    "nodes": "the graph's nodes",
}
TABLE = "heads.md"


def scores_of(study: Study, variant: str, seed: int) -> dict[Head, float]:
    """Return mean binary F1 of each head of one trained checkpoint on the tested people."""
    folder = study.out / f"seed-{seed}" / variant
    model = folder / "trained" / "merged"
    data = study.clips(seed, next(one for one in VARIANTS if one.name == variant).shifted)
    examples = read_labelled(data).examples
    tuned, tested = (choose(examples, split, UNITS_LABEL, None) for split in ("val", "test"))
    reader, cache = UnitReader(model), open_cache(study.out / "clips")
    profile = read_profile(model)
    task = profile.fit(load_task(TASK))
    total, nothing = len(tuned) + len(tested), KeptReadings(None, {})
    looking = Looking(
        data, reader, task, profile.segment_seconds(), cache, total, lambda _done, _total: None,
        nothing, trusted=True,
    )  # fmt: skip
    seen, shown = (looking.see(some, HEADS, flow=False) for some in (tuned, tested))
    labels_NA, people = shown.labels(reader.units), [one.participant for one in shown.examples]
    found: dict[Head, float] = {}
    for head in HEADS:
        chosen_A = thresholds(seen.read[head], seen.labels(reader.units))
        decided_NA = shown.read[head] >= chosen_A
        found[head] = score_units(reader.units, labels_NA, decided_NA, people).f1
    return found


def table(found: dict[tuple[str, Head], Values]) -> str:
    """Return the table in Markdown, a row for each kind of training and head."""
    titles = {variant.name: variant.title for variant in VARIANTS}
    lines = ["| trained | head | binary F1 | by seed |", "|---|---|---|---|"]
    for (variant, head), by_seed in found.items():
        each = " ".join(f"{value:.3f}" for value in by_seed.values())
        mean = fmean(by_seed.values())
        lines.append(f"| {titles[variant]} | {TITLES[head]} | {mean:.3f} | {each} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Read, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/au-ablation"), help="the ablation's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[SHIFTED, SHIFTED_PLAIN])
    chosen = parser.parse_args(words)
    found: dict[tuple[str, Head], Values] = {}
    for variant, seed in product(chosen.only, chosen.seeds):
        for head, score in scores_of(Study(chosen.out), variant, seed).items():
            found.setdefault((variant, head), {})[seed] = score
    text = table(found)
    write_text(chosen.out / TABLE, text + "\n")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()

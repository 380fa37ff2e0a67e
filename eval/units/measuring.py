"""Action units of every labelled video: read, thresholds of other people, baseline beside.

Does: choose the examples, have them read (see reading), choose each unit's threshold on another
split, train the flow baseline.  Does not: measure (see scores) or print.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.run import choose
from eval.units.flow import FlowTraining, flow_probabilities
from eval.units.kept import KeptReadings
from eval.units.predictions import UnitPrediction
from eval.units.reading import WHOLE, Advance, Looking, Seen
from mllm_affect import __version__
from mllm_affect.data.examples import Example
from mllm_affect.data.labelled import read_labelled
from mllm_affect.data.unit_labels import UNITS_LABEL, unit_labels
from mllm_affect.engine.unit_reader import UnitReader
from mllm_affect.errors import UserError
from mllm_affect.media.cache import open_cache
from mllm_affect.model.profile import ModelProfile, read_profile
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.thresholds import ThresholdPolicy, choose_threshold
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task

TASK = "au"


@dataclass(frozen=True)
class UnitPlan:
    """What to evaluate: a checkpoint on a split, thresholds from another.

    `flow_split`: train the baseline on this split, or None.  `leanings`: also read every clip
    without CT and without IT.  `task`: the prompt that the checkpoint learned, by id or file.
    `fold` names this split of people where there are several.  `device`, `dtype`: where and in
    which numbers the checkpoint is asked.
    """

    data: Path
    model: Path
    split: str = "test"
    thresholds_split: str = "val"
    flow_split: str | None = None
    leanings: bool = True
    task: str = TASK
    fold: str = ""
    limit: int | None = None
    cache: Path | None = None
    trusted: bool = False
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"


def predict_units(
    plan: UnitPlan,
    advance: Advance = lambda _done, _total: None,
    keep: Path | None = None,
) -> list[UnitPrediction]:
    """Return the predictions of a plan; what is read is kept in the folder `keep` and not read
    again.

    A tested video that cannot be read counts as answered wrongly, unit by unit.  Raises UserError
    for splits that are the same or share a person, labels that cannot be used, a split of which no
    video can, a checkpoint without evidence, and one that learned the task in another wording.
    """
    chosen = _chosen(plan)
    profile = read_profile(plan.model)
    task = profile.fit(load_task(plan.task))
    profile.refuse_other_prompt(task)
    reader = UnitReader(plan.model, plan.device, plan.dtype)
    total = sum(len(some) for some in chosen.values())
    cache, flow = open_cache(plan.cache), plan.flow_split is not None
    kept = KeptReadings(keep, _settings(plan, task, profile))
    bound = profile.segment_seconds()
    looking = Looking(
        plan.data, reader, task, bound, cache, total, advance, kept, trusted=plan.trusted
    )
    tuned = looking.see(chosen[plan.thresholds_split], (WHOLE,), flow=flow)
    taken = reader.given if plan.leanings else ()
    tested = looking.see(chosen[plan.split], (WHOLE, *taken), flow=flow)
    lists: dict[str, NDArray[np.float64]] = {"probabilities": tested.read[WHOLE]}
    lists |= {f"without_{token}": tested.read[token] for token in taken}
    same = {"thresholds": thresholds(tuned.read[WHOLE], tuned.labels(reader.units))}
    if plan.flow_split is not None:
        trained = (
            tuned
            if plan.flow_split == plan.thresholds_split
            else looking.see(chosen[plan.flow_split], (), flow=True)
        )
        lists["flow"], same["flow_thresholds"] = _flow(trained, tuned, tested, reader.units, plan)
    return [
        _row(plan, example, reader.units, tested.problems.get(example.video), found, same)
        for example, found in _found(chosen[plan.split], tested, lists, reader.units)
    ]


def _settings(plan: UnitPlan, task: Task, profile: ModelProfile) -> dict[str, Any]:
    """Return what a video's reading depends on."""
    return {
        "max_seconds": profile.segment_seconds(),
        "version": __version__, "weights": weights_hash(plan.model), "prompt": task.prompt_hash,
        "sampling": asdict(task.sampling), "device": plan.device, "dtype": plan.dtype,
    }  # fmt: skip


def _found(
    examples: Sequence[Example],
    tested: Seen,
    lists: Mapping[str, NDArray[np.float64]],
    units: Sequence[int],
) -> Iterator[tuple[Example, dict[str, NDArray[np.float64]]]]:
    """Yield every tested example with its lists; the wrong answers where it could not be read."""
    places = {example.video: place for place, example in enumerate(tested.examples)}
    for example in examples:
        if example.video in places:
            place = places[example.video]
            yield example, {name: values_NA[place] for name, values_NA in lists.items()}
        else:
            wrong_A = 1.0 - (np.array(unit_labels(example.labels[UNITS_LABEL], units)) == 1)
            yield example, dict.fromkeys(lists, wrong_A)


def _row(
    plan: UnitPlan,
    example: Example,
    units: tuple[int, ...],
    problem: str | None,
    found: Mapping[str, NDArray[np.float64]],
    same: Mapping[str, NDArray[np.float64]],
) -> UnitPrediction:
    # Every digit is kept: a threshold may lie between probabilities that differ in the tenth.
    return UnitPrediction(
        video=example.video,
        participant=example.participant,
        split=example.split,
        fold=plan.fold,
        units=units,
        labels=tuple(unit_labels(example.labels[UNITS_LABEL], units)),
        problem=problem,
        **{name: tuple(map(float, values_A)) for name, values_A in {**found, **same}.items()},
    )


def _chosen(plan: UnitPlan) -> dict[str, list[Example]]:
    """Return the examples of each split that the plan names; nobody who is tested is elsewhere."""
    if plan.split in (plan.thresholds_split, plan.flow_split):
        raise UserError(
            "bad_options",
            f"Thresholds and the baseline must not see the split that is tested, {plan.split!r}; "
            "name others.",
        )
    examples = read_labelled(plan.data).examples
    named = filter(None, (plan.split, plan.thresholds_split, plan.flow_split))
    chosen = {split: choose(examples, split, UNITS_LABEL, plan.limit) for split in named}
    tested = {example.participant for example in chosen[plan.split]}
    for split, some in chosen.items():
        shared = sorted(tested & {example.participant for example in some})
        if split != plan.split and shared:
            raise UserError(
                "participant_leak",
                f"{len(shared)} participant(s) stand in {plan.split!r} and in {split!r}, first "
                f"{shared[0]!r}; give everyone one split.",
            )
    return chosen


def thresholds(
    probability_NA: NDArray[np.float64], label_NA: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each unit's threshold: the middle of the widest range whose macro-F1 is nearly the
    best; a half for a unit that nobody shows."""
    chosen = []
    for probability_N, label_N in zip(probability_NA.T, label_NA.T, strict=True):
        known_N, shown_N = label_N >= 0, label_N == 1
        policy: ThresholdPolicy = "plateau" if shown_N.any() else "fixed"
        chosen.append(choose_threshold(policy, probability_N[known_N], shown_N[known_N]))
    return np.array(chosen)


def _flow(
    trained: Seen, tuned: Seen, tested: Seen, units: Sequence[int], plan: UnitPlan
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the baseline's probabilities (N, A) and thresholds (A,)."""
    found = flow_probabilities(
        trained.flow_M3SS,
        trained.labels(units)[trained.owner_M],
        [seen.flow_M3SS for seen in (tuned, tested)],
        FlowTraining(seed=plan.seed),
    )
    tuned_NA, tested_NA = (
        np.stack([read_MA[seen.owner_M == place].max(0) for place in range(len(seen.examples))])
        for seen, read_MA in zip((tuned, tested), found, strict=True)
    )
    return tested_NA, thresholds(tuned_NA, tuned.labels(units))

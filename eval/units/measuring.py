"""Action units of every labelled video: read, thresholds of other people, baseline beside.

Does: read clips by the one path a few at a time, ask the head (with tokens taken away too), choose
each unit's threshold on another split, train the flow baseline.  Does not: measure (see scores),
print, or go on where a stopped run ended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from eval.run import choose
from eval.units.flow import Flow, FlowTraining, flow_and_strain, flow_probabilities
from eval.units.predictions import UnitPrediction
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import footage
from mllm_affect.data.labelled import read_labelled
from mllm_affect.data.unit_labels import UNITS_LABEL, unit_labels
from mllm_affect.engine.unit_reader import UnitReader
from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache, open_cache
from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.video import open_video, read_cached
from mllm_affect.model.evidence.config import Token
from mllm_affect.model.profile import read_profile
from mllm_affect.scoring.thresholds import ThresholdPolicy, choose_threshold
from mllm_affect.tasks.model_input import ModelInput, model_input
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task

TASK = "au"
VIDEOS_AT_ONCE = 8
WHOLE = "whole"
"""Read with every token that the checkpoint gives."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class UnitPlan:
    """What to evaluate: a checkpoint on a split, thresholds from another.

    `flow_split`: train the baseline on this split, or None.  `leanings`: also read every clip
    without CT and without IT.  `task`: the prompt that the checkpoint learned, by id or file.
    `fold` names this split of people where there are several.
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


@dataclass(frozen=True)
class _Seen:
    """What is kept of a split's videos once they were read: no frames, a corpus has too many.

    `read`: each unit's highest probability over a video's segments (N, A), with all tokens (WHOLE)
    and by the token that was taken away.  flow_M3SS: of every segment, for the baseline; owner_M:
    the place of its video.
    """

    examples: tuple[Example, ...]
    read: Mapping[str, NDArray[np.float64]]
    flow_M3SS: Flow
    owner_M: NDArray[np.int64]

    def labels(self, units: Sequence[int]) -> NDArray[np.int64]:
        """Return the labels (N, A) of the videos."""
        return np.array(
            [unit_labels(example.labels[UNITS_LABEL], units) for example in self.examples]
        )


class _Looking:
    """Reads the videos of a plan, and says how many were."""

    def __init__(
        self, plan: UnitPlan, reader: UnitReader, task: Task, total: int, advance: Advance
    ) -> None:
        self._plan, self._reader, self._task = plan, reader, task
        self._total, self._advance, self._done = total, advance, 0
        self._cache: ClipCache | None = open_cache(plan.cache)

    def see(self, examples: Sequence[Example], ways: Sequence[str]) -> _Seen:
        """Read some videos in so many ways: WHOLE, or without a token; flow where it is wanted."""
        read: dict[str, list[NDArray[np.float64]]] = {way: [] for way in ways}
        flow: list[Flow] = []
        owners: list[int] = []
        for start in range(0, len(examples), VIDEOS_AT_ONCE):
            some = examples[start : start + VIDEOS_AT_ONCE]
            clips = [list(self._inputs(example)) for example in some]
            inputs = [made for of_video in clips for made in of_video]
            owner = np.repeat(np.arange(len(some)), [len(of_video) for of_video in clips])
            for way in ways:
                read_MA = self._reader.read(inputs, without=_taken_away(way))
                read[way] += [read_MA[owner == place].max(0) for place in range(len(some))]
            if self._plan.flow_split is not None:
                flow += [flow_and_strain(made.frames_THWC) for made in inputs]
                owners += (owner + start).tolist()
            self._done += len(some)
            self._advance(self._done, self._total)
        return _Seen(
            tuple(examples),
            {way: np.stack(rows) for way, rows in read.items()},
            np.array(flow, dtype=np.float32),
            np.array(owners, dtype=np.int64),
        )

    def _inputs(self, example: Example) -> Iterator[ModelInput]:
        shown = footage(self._plan.data, example)
        with open_video(shown, trusted=self._plan.trusted) as video:
            for clip in read_cached(video, self._task.sampling, MAX_SECONDS, self._cache):
                yield model_input(clip, self._task)


def predict_units(
    plan: UnitPlan, advance: Advance = lambda _done, _total: None
) -> list[UnitPrediction]:
    """Return the predictions of a plan.

    Raises UserError for splits that are the same or share a person, labels or videos that cannot
    be used, a checkpoint without evidence, and one that learned the task in another wording.
    """
    chosen = _chosen(plan)
    profile = read_profile(plan.model)
    task = profile.fit(load_task(plan.task))
    profile.refuse_other_prompt(task)
    reader = UnitReader(plan.model)
    total = sum(len(some) for some in chosen.values())
    looking = _Looking(plan, reader, task, total, advance)
    tuned = looking.see(chosen[plan.thresholds_split], (WHOLE,))
    taken = reader.given if plan.leanings else ()
    tested = looking.see(chosen[plan.split], (WHOLE, *taken))
    labels_NA = tested.labels(reader.units)
    lists: dict[str, NDArray[np.float64]] = {"probabilities": tested.read[WHOLE]}
    lists |= {f"without_{token}": tested.read[token] for token in taken}
    same = {"thresholds": _thresholds(tuned.read[WHOLE], tuned.labels(reader.units))}
    if plan.flow_split is not None:
        trained = (
            tuned
            if plan.flow_split == plan.thresholds_split
            else looking.see(chosen[plan.flow_split], ())
        )
        lists["flow"], same["flow_thresholds"] = _flow(trained, tuned, tested, reader.units, plan)
    return [
        UnitPrediction(
            video=example.video,
            participant=example.participant,
            split=example.split,
            fold=plan.fold,
            units=reader.units,
            labels=tuple(labels_NA[place].tolist()),
            **{name: _rounded(values_NA[place]) for name, values_NA in lists.items()},
            **{name: _rounded(values_A) for name, values_A in same.items()},
        )
        for place, example in enumerate(tested.examples)
    ]


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


def _taken_away(way: str) -> tuple[Token, ...]:
    return tuple(token for token in get_args(Token) if token == way)


def _thresholds(
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
    trained: _Seen, tuned: _Seen, tested: _Seen, units: Sequence[int], plan: UnitPlan
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
    return tested_NA, _thresholds(tuned_NA, tuned.labels(units))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)

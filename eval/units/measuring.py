"""Action units of every labelled video: read, thresholds of training people, baseline beside.

Does: read clips by the one path, ask the head (with tokens taken away too), choose each unit's
threshold on another split, train the flow baseline.  Does not: measure (see scores) or print.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.run import choose
from eval.units.flow import FlowTraining, Frames, flow_probabilities
from eval.units.predictions import UnitPrediction
from mllm_affect.data.examples import Example
from mllm_affect.data.labelled import read_labelled
from mllm_affect.data.unit_labels import UNITS_LABEL, unit_labels
from mllm_affect.engine.unit_reader import UnitReader
from mllm_affect.errors import UserError
from mllm_affect.media.cache import open_cache
from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.video import following_links, open_video, read_cached
from mllm_affect.model.evidence.config import Token
from mllm_affect.model.profile import read_profile
from mllm_affect.scoring.thresholds import choose_threshold
from mllm_affect.tasks.model_input import ModelInput, model_input
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task

TASK = "au"
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class UnitPlan:
    """What to evaluate: a checkpoint on a split, thresholds from another.

    `flow_split`: train the baseline on this split, or None.  `leanings`: also read every clip
    without CT and without IT.  `fold` names this split of people where there are several.
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
class _Clips:
    """The model inputs of some examples; `owner_N` says which example each belongs to."""

    examples: tuple[Example, ...]
    inputs: tuple[ModelInput, ...]
    owner_N: NDArray[np.int64]

    def frames(self) -> list[Frames]:
        """Return the first clip of each example."""
        first = [int(np.argmax(self.owner_N == place)) for place in range(len(self.examples))]
        return [self.inputs[place].frames_THWC for place in first]

    def of_videos(self, read_NA: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a video's probabilities: of each unit the highest of all its segments."""
        return np.stack(
            [read_NA[self.owner_N == place].max(0) for place in range(len(self.examples))]
        )

    def labels(self, units: Sequence[int]) -> NDArray[np.int64]:
        """Return the labels (N, A) of the examples."""
        return np.array(
            [unit_labels(example.labels[UNITS_LABEL], units) for example in self.examples]
        )


def predict_units(
    plan: UnitPlan, advance: Advance = lambda _done, _total: None
) -> list[UnitPrediction]:
    """Return the predictions of a plan.

    Raises UserError for splits that are the same or share a person, labels or videos that cannot
    be used, and a checkpoint without evidence.
    """
    if plan.split in (plan.thresholds_split, plan.flow_split):
        raise UserError(
            "bad_options",
            f"Thresholds and the baseline must not see the split that is tested, {plan.split!r}; "
            "name others.",
        )
    labelled = read_labelled(plan.data)
    chosen = {
        split: choose(labelled.examples, split, UNITS_LABEL, plan.limit)
        for split in filter(None, (plan.split, plan.thresholds_split, plan.flow_split))
    }
    _refuse_shared_people(plan, chosen)
    reader = UnitReader(plan.model)
    task = read_profile(plan.model).fit(load_task(plan.task))
    total = sum(len(some) for some in chosen.values())
    done = _Counter(advance, total)
    clips = {split: _read(plan, some, task, done) for split, some in chosen.items()}
    tested, tuned = clips[plan.split], clips[plan.thresholds_split]
    read = tested.of_videos(reader.read(tested.inputs))
    thresholds = _thresholds(tuned.of_videos(reader.read(tuned.inputs)), tuned.labels(reader.units))
    without: dict[Token, NDArray[np.float64]] = {}
    if plan.leanings:
        for token in reader.given:
            without[token] = tested.of_videos(reader.read(tested.inputs, (token,)))
    flow, flow_thresholds = _flow(plan, clips, reader.units)
    labels = tested.labels(reader.units)
    return [
        UnitPrediction(
            video=example.video,
            participant=example.participant,
            split=example.split,
            fold=plan.fold,
            units=reader.units,
            labels=tuple(labels[place].tolist()),
            probabilities=_rounded(read[place]),
            thresholds=_rounded(thresholds),
            without_content=_rounded(without["content"][place]) if "content" in without else (),
            without_instruction=(
                _rounded(without["instruction"][place]) if "instruction" in without else ()
            ),
            flow=() if flow is None else _rounded(flow[place]),
            flow_thresholds=() if flow_thresholds is None else _rounded(flow_thresholds),
        )
        for place, example in enumerate(tested.examples)
    ]


def _refuse_shared_people(plan: UnitPlan, chosen: dict[str, list[Example]]) -> None:
    tested = {example.participant for example in chosen[plan.split]}
    for split, some in chosen.items():
        shared = sorted(tested & {example.participant for example in some})
        if split != plan.split and shared:
            raise UserError(
                "participant_leak",
                f"{len(shared)} participant(s) stand in {plan.split!r} and in {split!r}, first "
                f"{shared[0]!r}; give everyone one split.",
            )


class _Counter:
    """Counts videos read, over all splits."""

    def __init__(self, advance: Advance, total: int) -> None:
        self._advance, self._total, self._done = advance, total, 0

    def step(self) -> None:
        """Say that another video was read."""
        self._done += 1
        self._advance(self._done, self._total)


def _read(plan: UnitPlan, examples: Sequence[Example], task: Task, done: _Counter) -> _Clips:
    inputs: list[ModelInput] = []
    owners: list[int] = []
    for place, example in enumerate(examples):
        made = list(_inputs(plan, example, task))
        inputs += made
        owners += [place] * len(made)
        done.step()
    return _Clips(tuple(examples), tuple(inputs), np.array(owners, dtype=np.int64))


def _inputs(plan: UnitPlan, example: Example, task: Task) -> Iterator[ModelInput]:
    path = following_links(plan.data / example.video)
    cache = open_cache(plan.cache)
    with open_video(path, trusted=plan.trusted) as video:
        for clip in read_cached(video, task.sampling, MAX_SECONDS, cache):
            yield model_input(clip, task)


def _thresholds(
    probability_NA: NDArray[np.float64], label_NA: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the threshold of each unit: the middle of the widest range that is nearly the best."""
    chosen = []
    for probability_N, label_N in zip(probability_NA.T, label_NA.T, strict=True):
        known_N = label_N >= 0
        if not (label_N == 1).any():
            chosen.append(0.5)
            continue
        chosen.append(choose_threshold("plateau", probability_N[known_N], label_N[known_N] == 1))
    return np.array(chosen)


def _flow(
    plan: UnitPlan, clips: dict[str, _Clips], units: Sequence[int]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Return the baseline's probabilities and thresholds."""
    if plan.flow_split is None:
        return None, None
    trained = clips[plan.flow_split]
    tested, tuned = clips[plan.split], clips[plan.thresholds_split]
    found, beside = flow_probabilities(
        (trained.frames(), trained.labels(units)),
        (tested.frames(), tuned.frames()),
        FlowTraining(seed=plan.seed),
    )
    return found, _thresholds(beside, tuned.labels(units))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)

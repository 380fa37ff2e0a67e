"""Fitting a task's scoring on labelled videos that were not trained on.

Does: choose the pooling out-of-fold, fit temperature and bias, set the threshold by its policy,
record what was compared and how the whole choice does on held-out people.  Does not: ask a model,
or read and write files.

Participants are dealt into folds, so that no candidate is judged on a person it was fitted on, and
the recorded out-of-fold figures are those of rules chosen without the people they are about (see
nested_folds).  The choice is by negative log-likelihood, which uses every probability and so is
steadier on a small validation split than macro-F1, whose value is recorded beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mllm_affect import __version__
from mllm_affect.errors import UserError
from mllm_affect.scoring.abstention import Abstention
from mllm_affect.scoring.calibration import Flags, Floats
from mllm_affect.scoring.measures import (
    by_participant,
    calibration_error,
    macro_f1,
    macro_f1_of,
    negative_log_likelihood,
)
from mllm_affect.scoring.nested_folds import (
    ChoiceSettings,
    LabelledVideos,
    answer_held_out,
    choose_rule,
    deal_participants,
)
from mllm_affect.scoring.pooling import CANDIDATES, find_pooling
from mllm_affect.scoring.scoring_file import Candidate, Choice, Figures, MadeFrom, TaskScoring
from mllm_affect.scoring.thresholds import FIXED, ThresholdPolicy
from mllm_affect.tasks.task import Task


@dataclass(frozen=True)
class ScoredVideo:
    """One labelled video: the probabilities and the seconds of each of its segments."""

    participant: str
    label: str
    distributions: Sequence[Mapping[str, float]]
    durations_s: Sequence[float]


@dataclass(frozen=True)
class FittingPlan:
    """How to fit.  One pooling: it is taken and nothing is compared."""

    poolings: tuple[str, ...] = CANDIDATES
    folds: int = 5
    seed: int = 0
    with_bias: bool = True
    threshold: ThresholdPolicy = "fixed"
    abstention: Abstention = field(default_factory=Abstention)


@dataclass(frozen=True)
class Origin:
    """Where the segment answers came from; None where that is not known."""

    split: str | None = None
    unusable: int = 0
    examples_sha256: str | None = None
    predictions_sha256: str | None = None
    weights: str | None = None
    chose_checkpoint: bool | None = None


def fit_scoring(
    task: Task,
    segmenter: str,
    max_seconds: float,
    videos: Sequence[ScoredVideo],
    plan: FittingPlan,
    origin: Origin,
) -> TaskScoring:
    """Return the scoring of `task`, its sampling already that of the checkpoint.

    Raises UserError `no_positive_answer`, `one_sided_labels` or `few_participants` for a task or
    videos that nothing can be fitted to, and `unknown_pooling`.
    """
    positive = _positive(task)
    labelled = _pooled(videos, positive, plan.poolings)
    positive_N = labelled.positive_N
    settings = ChoiceSettings(plan.folds, plan.seed, plan.with_bias, plan.threshold)
    rule = choose_rule(labelled, settings)
    held_out = answer_held_out(labelled, settings)
    pooled_N = labelled.pooled[rule.pooling]
    fitted_N = rule.calibration.apply_all(pooled_N)
    return TaskScoring(
        task=task.id,
        prompt_hash=task.prompt_hash,
        answers=task.answers,
        positive=positive,
        segmenter=segmenter,
        max_seconds=max_seconds,
        sampling=task.sampling,
        pooling=rule.pooling,
        temperature=rule.calibration.temperature,
        bias=rule.calibration.bias,
        threshold=rule.threshold,
        threshold_policy=plan.threshold,
        abstention=plan.abstention,
        choice=Choice(
            folds=rule.folds if len(labelled.pooled) > 1 else 0,
            seed=plan.seed,
            candidates=tuple(
                _candidate(name, calibrated_N, labelled, plan.seed)
                for name, calibrated_N in rule.out_of_fold.items()
            ),
        ),
        before=_figures(pooled_N, pooled_N >= FIXED, labelled, plan.seed),
        out_of_fold=_figures(held_out.probability_N, held_out.said_N, labelled, plan.seed),
        fitted=_figures(fitted_N, fitted_N >= rule.threshold, labelled, plan.seed),
        made_from=MadeFrom(
            split=origin.split,
            videos=len(videos),
            participants=len(set(labelled.participants)),
            positives=int(positive_N.sum()),
            unusable=origin.unusable,
            examples_sha256=origin.examples_sha256,
            predictions_sha256=origin.predictions_sha256,
            weights=origin.weights,
            chose_checkpoint=origin.chose_checkpoint,
            version=__version__,
        ),
    )


def check_labels(
    task: Task, participants: Sequence[str], labels: Sequence[str], folds: int
) -> None:
    """Raise UserError, as `fit_scoring` does, where nothing could be fitted to these videos."""
    positive = _positive(task)
    positive_N = np.array([label == positive for label in labels], dtype=bool)
    deal_participants(participants, positive_N, folds, seed=0)


def _positive(task: Task) -> str:
    if task.positive is None:
        raise UserError(
            "no_positive_answer",
            f"Task {task.id} names no positive answer, so there is no probability to calibrate.",
        )
    return task.positive


def _pooled(
    videos: Sequence[ScoredVideo], positive: str, poolings: Sequence[str]
) -> LabelledVideos:
    """Return labels and, by pooling, the pooled probability of the positive answer."""
    pooled: dict[str, Floats] = {}
    for name in poolings:
        pool_one = find_pooling(name)
        values = [
            pool_one([p[positive] for p in video.distributions], video.durations_s)
            for video in videos
        ]
        pooled[name] = np.minimum(1.0, np.array(values, dtype=np.float64))
    return LabelledVideos(
        tuple(video.participant for video in videos),
        np.array([video.label == positive for video in videos], dtype=np.bool_),
        pooled,
    )


def _candidate(pooling: str, calibrated_N: Floats, videos: LabelledVideos, seed: int) -> Candidate:
    positive_N = videos.positive_N

    def loss(places: NDArray[np.int64]) -> float:
        return negative_log_likelihood(calibrated_N[places], positive_N[places])

    def score(places: NDArray[np.int64]) -> float:
        return macro_f1(calibrated_N[places], positive_N[places], FIXED)

    everything = np.arange(len(positive_N))
    return Candidate(
        pooling=pooling,
        negative_log_likelihood=loss(everything),
        negative_log_likelihood_interval=by_participant(loss, videos.participants, seed),
        macro_f1=score(everything),
        macro_f1_interval=by_participant(score, videos.participants, seed),
    )


def _figures(probability_N: Floats, said_N: Flags, videos: LabelledVideos, seed: int) -> Figures:
    positive_N = videos.positive_N

    def score(places: NDArray[np.int64]) -> float:
        return macro_f1_of(said_N[places], positive_N[places])

    return Figures(
        negative_log_likelihood=negative_log_likelihood(probability_N, positive_N),
        calibration_error=calibration_error(probability_N, positive_N),
        macro_f1=macro_f1_of(said_N, positive_N),
        macro_f1_interval=by_participant(score, videos.participants, seed),
    )

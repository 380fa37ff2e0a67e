"""Fitting a task's scoring on labelled videos that were not trained on.

Does: choose the pooling out-of-fold, fit temperature and bias, set the threshold by its policy,
record all that was compared.  Does not: ask a model, or read and write files.

Participants are dealt into folds, so that no candidate is judged on a person it was fitted on.
The choice is by negative log-likelihood, which uses every probability and so is steadier on a
small validation split than macro-F1, whose value is told beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mllm_affect import __version__
from mllm_affect.errors import UserError
from mllm_affect.scoring.abstention import Abstention
from mllm_affect.scoring.calibration import Flags, Floats, fit_calibration
from mllm_affect.scoring.measures import (
    by_participant,
    calibration_error,
    macro_f1,
    negative_log_likelihood,
)
from mllm_affect.scoring.pooling import CANDIDATES, find_pooling
from mllm_affect.scoring.scoring_file import Candidate, Choice, Figures, MadeFrom, TaskScoring
from mllm_affect.scoring.thresholds import FIXED, ThresholdPolicy, choose_threshold
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


@dataclass(frozen=True)
class _Judged:
    """A candidate's pooled probabilities and those calibrated by fits on other participants."""

    pooling: str
    pooled_N: Floats
    calibrated_N: Floats


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
    positive_N = np.array([video.label == positive for video in videos], dtype=bool)
    participants = [video.participant for video in videos]
    folds_N = deal_participants(participants, positive_N, plan.folds, plan.seed)
    judged = [
        _judge(name, videos, positive_N, folds_N, positive, plan.with_bias)
        for name in plan.poolings
    ]
    candidates = [_candidate(item, positive_N, participants, plan.seed) for item in judged]
    losses = [item.negative_log_likelihood for item in candidates]
    chosen = judged[losses.index(min(losses))]
    calibration = fit_calibration(chosen.pooled_N, positive_N, plan.with_bias)
    threshold = choose_threshold(plan.threshold, chosen.calibrated_N, positive_N)
    fitted_N = calibration.apply_all(chosen.pooled_N)
    return TaskScoring(
        task=task.id,
        prompt_hash=task.prompt_hash,
        answers=task.answers,
        positive=positive,
        segmenter=segmenter,
        max_seconds=max_seconds,
        sampling=task.sampling,
        pooling=chosen.pooling,
        temperature=calibration.temperature,
        bias=calibration.bias,
        threshold=threshold,
        threshold_policy=plan.threshold,
        abstention=plan.abstention,
        choice=Choice(
            folds=len(np.unique(folds_N)) if len(candidates) > 1 else 0,
            seed=plan.seed,
            candidates=tuple(candidates),
        ),
        before=_figures(chosen.pooled_N, positive_N, FIXED),
        out_of_fold=_figures(chosen.calibrated_N, positive_N, threshold),
        fitted=_figures(fitted_N, positive_N, threshold),
        made_from=MadeFrom(
            split=origin.split,
            videos=len(videos),
            participants=len(set(participants)),
            positives=int(positive_N.sum()),
            unusable=origin.unusable,
            examples_sha256=origin.examples_sha256,
            predictions_sha256=origin.predictions_sha256,
            weights=origin.weights,
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


def deal_participants(
    participants: Sequence[str], positive_N: Flags, folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold (from 0) of each video: whole participants, positives spread evenly.

    Raises UserError `few_participants` when two folds with both labels outside of each cannot be
    made, and `one_sided_labels` without videos of both kinds.
    """
    positives = int(positive_N.sum())
    if positives in (0, len(positive_N)):
        raise UserError(
            "one_sided_labels",
            f"Calibration needs videos of both kinds; {positives} of {len(positive_N)} are "
            "positive.",
        )
    members: dict[str, list[int]] = {}
    for place, name in enumerate(participants):
        members.setdefault(name, []).append(place)
    shuffled = np.random.default_rng(seed).permutation(sorted(members))
    share = {name: float(positive_N[members[name]].mean()) for name in shuffled.tolist()}
    ranked = sorted(shuffled.tolist(), key=lambda name: share[name])
    fold_N = np.zeros(len(participants), dtype=np.int64)
    for rank, name in enumerate(ranked):
        fold_N[members[name]] = rank % max(2, folds)
    for fold in np.unique(fold_N):
        others_N = positive_N[fold_N != fold]
        if not len(others_N) or others_N.all() or not others_N.any():
            raise UserError(
                "few_participants",
                f"{len(members)} participants are too few to calibrate out-of-fold: without some "
                "of them only one label is left; give a split with more people.",
            )
    return fold_N


def _judge(
    pooling: str,
    videos: Sequence[ScoredVideo],
    positive_N: Flags,
    folds_N: NDArray[np.int64],
    positive: str,
    with_bias: bool,
) -> _Judged:
    pool_one = find_pooling(pooling)
    pooled_N = np.array(
        [
            min(1.0, pool_one([p[positive] for p in video.distributions], video.durations_s))
            for video in videos
        ]
    )
    calibrated_N = np.empty(len(videos))
    for fold in np.unique(folds_N):
        inside_N = folds_N == fold
        fitted = fit_calibration(pooled_N[~inside_N], positive_N[~inside_N], with_bias)
        calibrated_N[inside_N] = fitted.apply_all(pooled_N[inside_N])
    return _Judged(pooling, pooled_N, calibrated_N)


def _candidate(
    judged: _Judged, positive_N: Flags, participants: Sequence[str], seed: int
) -> Candidate:
    def loss(places: NDArray[np.int64]) -> float:
        return negative_log_likelihood(judged.calibrated_N[places], positive_N[places])

    def score(places: NDArray[np.int64]) -> float:
        return macro_f1(judged.calibrated_N[places], positive_N[places], FIXED)

    everything = np.arange(len(positive_N))
    return Candidate(
        pooling=judged.pooling,
        negative_log_likelihood=loss(everything),
        negative_log_likelihood_interval=by_participant(loss, participants, seed),
        macro_f1=score(everything),
        macro_f1_interval=by_participant(score, participants, seed),
    )


def _figures(probability_N: Floats, positive_N: Flags, threshold: float) -> Figures:
    return Figures(
        negative_log_likelihood=negative_log_likelihood(probability_N, positive_N),
        calibration_error=calibration_error(probability_N, positive_N),
        macro_f1=macro_f1(probability_N, positive_N, threshold),
    )

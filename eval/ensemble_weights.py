"""Weights for an ensemble, and whether they are worth anything.

Does: fit non-negative weights that sum to one by negative log-likelihood on labelled predictions,
and score them out-of-fold beside the plain mean and the best single member.  Does not: combine for
good or write.

Weights fitted and scored on the same few videos always look good.  Here participants are dealt
into folds, and every video is answered by weights, or by the best member, chosen on other people.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval import intervals, metrics
from eval.arrays import AnswerArrays
from eval.ensembling import Method, combine
from eval.intervals import Interval
from eval.predictions import Prediction, refuse_unlabelled
from mllm_affect.errors import UserError
from mllm_affect.scoring.logits import NEAREST
from mllm_affect.scoring.nested_folds import deal_participants

Floats = NDArray[np.float64]

EQUAL, BEST, FITTED = "equal weights", "best single member", "fitted weights"


@dataclass(frozen=True)
class OutOfFold:
    """One way to weigh, scored on participants it was not chosen on.

    `negative_log_likelihood` is over the videos that every member answers with probabilities.
    """

    name: str
    macro_f1: float
    macro_f1_interval: Interval
    negative_log_likelihood: float


@dataclass(frozen=True)
class FittedWeights:
    """Weights of the members, fitted on all labelled videos, and what they score out-of-fold.

    `by_fold`: the weights fitted without each fold; how much they differ says how far to trust
    them.
    """

    weights: tuple[float, ...]
    folds: int
    videos: int
    participants: int
    scores: tuple[OutOfFold, ...]
    by_fold: tuple[tuple[float, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def fit_weights(
    members: Sequence[Sequence[Prediction]],
    method: Method,
    threshold: float | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[FittedWeights, list[Prediction]]:
    """Fit weights on aligned labelled members; return them and the out-of-fold predictions.

    Raises UserError `bad_weights` for votes, `no_positive_answer`, and as dealing participants
    does when there are too few.
    """
    if method == "vote":
        raise UserError("bad_weights", "Votes take no weights; use --method mean or logit.")
    first = members[0]
    if first[0].positive is None:
        raise UserError(
            "no_positive_answer", f"Task {first[0].task} names no positive answer to fit on."
        )
    refuse_unlabelled(first, "no weights can be fitted")
    label_N = np.array([item.label == item.positive for item in first])
    fold_N = deal_participants([item.participant for item in first], label_N, folds, seed)
    p_MN = _probabilities(members)
    names = np.unique(fold_N)
    by_fold = {fold: _fit(p_MN[:, fold_N != fold], label_N[fold_N != fold], method)
               for fold in names}  # fmt: skip

    def out_of_fold(choose: Callable[[int], Floats]) -> list[Prediction]:
        by_place: dict[int, Prediction] = {}
        for fold in names:
            places = np.flatnonzero(fold_N == fold)
            part = [[member[place] for place in places] for member in members]
            rows = combine(part, method, choose(fold).tolist(), threshold)
            by_place |= dict(zip(places.tolist(), rows, strict=True))
        return [by_place[place] for place in range(len(first))]

    def best(fold: int) -> Floats:
        outside_N = fold_N != fold
        losses = [_loss(row_N[outside_N], label_N[outside_N]) for row_N in p_MN]
        chosen_M: Floats = np.eye(len(members))[int(np.argmin(losses))]
        return chosen_M

    equal_M = np.full(len(members), 1.0 / len(members))
    fitted = out_of_fold(lambda fold: by_fold[fold])
    answered = {
        EQUAL: out_of_fold(lambda _: equal_M),
        BEST: out_of_fold(best),
        FITTED: fitted,
    }
    found = FittedWeights(
        weights=tuple(_fit(p_MN, label_N, method).tolist()),
        folds=len(names),
        videos=len(first),
        participants=len({item.participant for item in first}),
        scores=tuple(_score(name, rows, p_MN, label_N) for name, rows in answered.items()),
        by_fold=tuple(tuple(by_fold[fold].tolist()) for fold in names),
    )
    return found, fitted


def _score(
    name: str, rows: Sequence[Prediction], p_MN: Floats, label_N: NDArray[np.bool_]
) -> OutOfFold:
    arrays = AnswerArrays.of(rows)
    p_N = np.array([item.probabilities.get(item.positive or "", np.nan) for item in rows])
    p_N = np.where(np.isnan(p_MN).any(axis=0), np.nan, p_N)
    return OutOfFold(
        name=name,
        macro_f1=arrays.macro_f1(arrays.everything),
        macro_f1_interval=intervals.middle(metrics.macro_f1_each(arrays.redrawn_tables(0, 1000))),
        negative_log_likelihood=_loss(p_N, label_N),
    )


def _probabilities(members: Sequence[Sequence[Prediction]]) -> Floats:
    """Return the positive answer's probability by member and video, NaN where there is none."""
    return np.array(
        [
            [item.probabilities.get(item.positive or "", np.nan) for item in member]
            for member in members
        ]
    )


def _loss(p_N: Floats, label_N: NDArray[np.bool_]) -> float:
    """Mean negative log-likelihood where there is a probability; infinite if nowhere."""
    known_N = ~np.isnan(p_N)
    if not known_N.any():
        return float("inf")
    held_N = np.clip(p_N[known_N], NEAREST, 1 - NEAREST)
    return float(-np.where(label_N[known_N], np.log(held_N), np.log1p(-held_N)).mean())


def _fit(p_MN: Floats, label_N: NDArray[np.bool_], method: Method) -> Floats:
    """Return the weights with the least loss over the videos that every member answers.

    Both losses are convex in the weights.
    """
    from scipy.optimize import minimize

    known_N = ~np.isnan(p_MN).any(axis=0)
    members = len(p_MN)
    if not known_N.any():
        return np.full(members, 1.0 / members)
    held_MN = np.clip(p_MN[:, known_N], NEAREST, 1 - NEAREST)
    score_MN = np.log(held_MN) - np.log1p(-held_MN) if method == "logit" else held_MN

    def loss(weight_M: Floats) -> float:
        mixed_N = weight_M @ score_MN
        p_N = 1.0 / (1.0 + np.exp(-mixed_N)) if method == "logit" else mixed_N
        return _loss(p_N, label_N[known_N])

    found = minimize(
        loss,
        np.full(members, 1.0 / members),
        method="SLSQP",
        bounds=[(0.0, 1.0)] * members,
        constraints=[{"type": "eq", "fun": lambda weight_M: weight_M.sum() - 1.0}],
        options={"ftol": 1e-10, "maxiter": 300},
    )
    weight_M = np.clip(found.x, 0.0, None)
    return np.asarray(weight_M / weight_M.sum())

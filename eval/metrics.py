"""Numbers that say how good answers are.

Does: accuracy, per-class scores and macro-F1 from a confusion table; calibration error and Brier
score; the positive class's average precision in its usual form and as the A/H challenge's
organisers compute it.  Does not: read files, resample (see eval.intervals) or print.

An unusable answer is `None`.  It counts as wrong everywhere: it stays in every denominator.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """How often each label met each answer.

    counts_LA: int64, one row a label, one column an answer in the same order, and a last column
    for unusable answers.
    """

    classes: tuple[str, ...]
    counts_LA: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Number of labelled examples, unusable answers included."""
        return int(self.counts_LA.sum())

    @property
    def right(self) -> int:
        """Number of examples whose answer is the label."""
        return int(np.trace(self.counts_LA[:, :-1]))


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest; a ratio without a denominator is 0, `f1` then is None."""

    name: str
    labelled: int
    answered: int
    precision: float
    recall: float
    f1: float | None


@dataclass(frozen=True)
class CalibrationBin:
    """Examples whose probability lies in [low, high): their mean probability and hit rate."""

    low: float
    high: float
    count: int
    mean_probability: float
    hit_rate: float


def confusion(
    labels: Sequence[str], answers: Sequence[str | None], classes: Sequence[str]
) -> Confusion:
    """Count labels against answers; an answer that is no class counts as unusable.

    Raises ValueError when the lengths differ or a label is no class.
    """
    if len(labels) != len(answers):
        raise ValueError(f"{len(labels)} labels but {len(answers)} answers")
    place = {name: index for index, name in enumerate(classes)}
    strange = sorted(set(labels) - set(place))
    if strange:
        raise ValueError(f"labels outside the classes {list(classes)}: {strange}")
    counts_LA = np.zeros((len(classes), len(classes) + 1), dtype=np.int64)
    for label, answer in zip(labels, answers, strict=True):
        column = place.get(answer, len(classes)) if answer is not None else len(classes)
        counts_LA[place[label], column] += 1
    return Confusion(tuple(classes), counts_LA)


def accuracy(table: Confusion) -> float:
    """Share of right answers; 0 for an empty table."""
    return table.right / table.total if table.total else 0.0


def per_class(table: Confusion) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of every class, in the table's order."""
    scores = []
    for index, name in enumerate(table.classes):
        hits = int(table.counts_LA[index, index])
        labelled = int(table.counts_LA[index].sum())
        answered = int(table.counts_LA[:, index].sum())
        scores.append(
            ClassScores(
                name=name,
                labelled=labelled,
                answered=answered,
                precision=hits / answered if answered else 0.0,
                recall=hits / labelled if labelled else 0.0,
                f1=2 * hits / (labelled + answered) if labelled + answered else None,
            )
        )
    return tuple(scores)


def macro_f1(table: Confusion) -> float:
    """Mean F1 over the classes that occur among labels or answers; 0 for an empty table."""
    return float(macro_f1_each(table.counts_LA[None].astype(np.float64))[0])


def macro_f1_each(counts_RLA: Floats) -> Floats:
    """Return the macro-F1 of several confusion tables; see `macro_f1`."""
    classes = counts_RLA.shape[1]
    hits_RL = np.diagonal(counts_RLA[:, :, :classes], axis1=1, axis2=2)
    whole_RL = counts_RLA.sum(axis=2) + counts_RLA[:, :, :classes].sum(axis=1)
    f1_RL = 2 * hits_RL / np.maximum(whole_RL, 1)
    return np.asarray(f1_RL.sum(axis=1) / np.maximum((whole_RL > 0).sum(axis=1), 1))


def accuracy_each(counts_RLA: Floats) -> Floats:
    """Return the accuracy of several confusion tables; see `accuracy`."""
    hits_R = np.trace(counts_RLA[:, :, : counts_RLA.shape[1]], axis1=1, axis2=2)
    return np.asarray(hits_R / np.maximum(counts_RLA.sum(axis=(1, 2)), 1))


def majority_answer(labels: Sequence[str], classes: Sequence[str]) -> str:
    """Return the most frequent label; the first named class wins a tie."""
    counts = Counter(labels)
    return max(classes, key=lambda name: counts[name])


def calibration_bins(
    probability_N: Floats, hit_N: NDArray[np.bool_], bins: int = 10
) -> tuple[CalibrationBin, ...]:
    """Sort examples into `bins` equally wide bins by probability; empty bins are left out.

    `hit_N[i]` says whether the event whose probability is `probability_N[i]` happened.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_N = np.minimum((probability_N * bins).astype(np.int64), bins - 1)
    count_B = np.bincount(bin_N, minlength=bins)
    filled_B = np.flatnonzero(count_B)
    probability_B = np.bincount(bin_N, probability_N, bins)[filled_B] / count_B[filled_B]
    hit_B = np.bincount(bin_N, hit_N, bins)[filled_B] / count_B[filled_B]
    return tuple(
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(count_B[index]),
            mean_probability=float(mean),
            hit_rate=float(rate),
        )
        for index, mean, rate in zip(filled_B, probability_B, hit_B, strict=True)
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Mean distance between probability and hit rate, weighted by the bins' counts."""
    total = sum(item.count for item in bins)
    distance = sum(item.count * abs(item.mean_probability - item.hit_rate) for item in bins)
    return distance / total if total else 0.0


def brier_score(probability_NA: Floats, label_N: NDArray[np.int64]) -> float:
    """Half the squared distance between the probabilities and the truth, mean over examples.

    probability_NA: one row an example, one column an answer; label_N: the column of the label.
    Halved so that two answers give the familiar mean of (p - y) squared; 0 best, 1 worst.
    """
    if not len(label_N):
        return 0.0
    truth_NA = np.zeros_like(probability_NA)
    truth_NA[np.arange(len(label_N)), label_N] = 1.0
    return float(((probability_NA - truth_NA) ** 2).sum(axis=1).mean() / 2)


def average_precision(probability_N: Floats, positive_N: NDArray[np.bool_]) -> float:
    """Precision at every distinct probability, weighted by the recall it adds; ties together.

    The usual definition (no interpolation).  0 without positives.
    """
    positives = int(positive_N.sum())
    if not positives:
        return 0.0
    order = np.argsort(-probability_N, kind="stable")
    sorted_N, hit_N = probability_N[order], positive_N[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(sorted_N)), len(sorted_N) - 1)
    hits = np.cumsum(hit_N)[last_of_tie]
    precision = hits / (last_of_tie + 1)
    gained_recall = np.diff(hits, prepend=0) / positives
    return float((precision * gained_recall).sum())


def challenge_average_precision(probability_N: Floats, positive_N: NDArray[np.bool_]) -> float:
    """Average precision as the A/H challenge's organisers compute it; not the usual one.

    Thresholds 0, 0.001, …, 0.999; precision is 0 where nothing is predicted; trapezoids over
    (recall, precision).  It rewards probabilities that are spread out: a perfect ranker whose
    positives all score 0.9 gets 0.5 and perfect hard labels get 0.
    """
    positives = int(positive_N.sum())
    if not positives:
        return 0.0
    # Theirs word for word: some of these differ from k / 1000 in the last bit.
    threshold_K = np.arange(0, 1, 0.001, dtype=np.float64)
    predicted_K = _at_least(probability_N, threshold_K)
    hits_K = _at_least(probability_N[positive_N], threshold_K)
    precision_K = np.where(predicted_K > 0, hits_K / np.maximum(predicted_K, 1), 0.0)
    recall_K = hits_K / positives
    return float(np.trapezoid(precision_K[::-1], recall_K[::-1]))


def _at_least(value_N: Floats, threshold_K: Floats) -> NDArray[np.int64]:
    """How many values reach each threshold."""
    return len(value_N) - np.searchsorted(np.sort(value_N), threshold_K, side="left")

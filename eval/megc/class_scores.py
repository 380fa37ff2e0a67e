"""UF1 and UAR from tables of counts.

Does: the two scores, for every divisor that the challenge leaves open.  Does not: count.

A table has one row per true class and one column per answer, in the same order, and a last column
for answers that are no class.  UF1 is the mean over classes of 2TP / (2TP + FP + FN), UAR the mean
recall; a class without denominator scores 0 (See et al. 2019).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""counts_LA: one row a class, one column an answer and a last one for what is no class."""


def uf1(counts_LA: Counts, counted_L: NDArray[np.bool_]) -> float:
    """Mean F1 over the classes counted; 0 when none is."""
    hit_L = np.diagonal(counts_LA)
    both_L = counts_LA.sum(axis=1) + counts_LA[:, :-1].sum(axis=0)
    return _mean(2.0 * hit_L, both_L, counted_L)


def uar(counts_LA: Counts, counted_L: NDArray[np.bool_]) -> float:
    """Mean recall over the classes counted; 0 when none is."""
    return _mean(np.diagonal(counts_LA), counts_LA.sum(axis=1), counted_L)


def all_classes(counts_LA: Counts) -> NDArray[np.bool_]:
    """Count every class of the table."""
    return np.ones(len(counts_LA), dtype=np.bool_)


def true_classes(counts_LA: Counts) -> NDArray[np.bool_]:
    """Count the classes that occur in the truth."""
    return np.asarray(counts_LA.sum(axis=1) > 0)


def true_or_said_classes(counts_LA: Counts) -> NDArray[np.bool_]:
    """Count the classes that occur in the truth or among the answers."""
    return np.asarray((counts_LA.sum(axis=1) + counts_LA[:, :-1].sum(axis=0)) > 0)


def of_fixed_classes(
    score: Callable[[Counts, NDArray[np.bool_]], float], whole_LA: Counts
) -> Callable[[Counts], float]:
    """Return a score that divides by all classes of the table, also for redraws of `whole_LA`.

    A class without rows in the whole truth scores 0, as when scored directly.  A class that only a
    redraw lacks does not: the mean over the classes in the redraw's truth stands for it.  Otherwise
    the interval of a perfect answerer would reach below 1 with every rare class.
    """
    share = float(true_classes(whole_LA).mean())
    return lambda drawn_LA: share * score(drawn_LA, true_classes(drawn_LA))


def one_hot(truth: Sequence[str], said: Sequence[str], classes: Sequence[str]) -> Counts:
    """Return one flat table per row, so that sums over rows are tables: (N, L * (L + 1)).

    Raises ValueError when a truth is no class.
    """
    return weighted(truth, [{answer: 1.0} for answer in said], classes)


def weighted(
    truth: Sequence[str], said: Sequence[Mapping[str, float]], classes: Sequence[str]
) -> Counts:
    """Return the same where a row's answer is drawn: `said` holds each answer's probability."""
    place = {name: index for index, name in enumerate(classes)}
    strange = sorted(set(truth) - set(place))
    if strange:
        raise ValueError(f"{strange[0]!r} is none of {', '.join(classes)}")
    width = len(classes) + 1
    flat_NK = np.zeros((len(truth), len(classes) * width))
    for row, (true, answers) in enumerate(zip(truth, said, strict=True)):
        for answer, probability in answers.items():
            flat_NK[row, place[true] * width + place.get(answer, len(classes))] += probability
    return flat_NK


def as_table(flat_K: Counts, classes: Sequence[str]) -> Counts:
    """Return a flat table (or sum of them) as rows and columns."""
    return flat_K.reshape(len(classes), len(classes) + 1)


def _mean(part_L: Counts, whole_L: Counts, counted_L: NDArray[np.bool_]) -> float:
    if not counted_L.any():
        return 0.0
    share_L = np.divide(part_L, whole_L, out=np.zeros(len(whole_L)), where=whole_L > 0)
    return float(share_L[counted_L].mean())

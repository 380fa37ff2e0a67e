"""How well action units were found: F1 of each unit, and means with their intervals.

Does: binary F1 (of "shown"), the mean of F1 of "shown" and "not shown", what saying "shown" always
scores; intervals by redrawing people.  Does not: choose thresholds or read files.

A unit that a redraw of people neither shows nor was found in has no F1 there and is left out of
that redraw's mean; as a 0 it would tell who was drawn, and even faultless decisions would get an
interval far below 1.

The two kinds of F1 are not comparable: with rare units the second reads some 30 points higher,
because "not shown" is easy.  Papers report either and often call both F1; here binary F1 leads.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.intervals import Interval, middle, resampled_sums

Floats = NDArray[np.float64]
KINDS = 4
"""Hits, false alarms, misses, right rejections: the counts of one unit."""


@dataclass(frozen=True)
class UnitScore:
    """One unit: how often it is labelled and found, F1 of "shown" and the mean of both F1."""

    unit: int
    labelled: int
    found: int
    known: int
    f1: float
    f1_interval: Interval
    both_f1: float
    always_f1: float


@dataclass(frozen=True)
class UnitScores:
    """All units: means over units, with intervals over people."""

    units: tuple[UnitScore, ...]
    f1: float
    f1_interval: Interval
    both_f1: float
    both_f1_interval: Interval
    always_f1: float
    videos: int
    people: int

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as JSON knows them."""
        return asdict(self)


def score_units(
    units: Sequence[int],
    labels_NA: NDArray[np.int64],
    found_NA: NDArray[np.bool_],
    participants: Sequence[str],
) -> UnitScores:
    """Measure decisions against labels (1, 0, below 0 unknown and left out).

    A unit that is neither labelled nor found anywhere scores 0, as in the challenges' own scoring,
    in every redraw too.  Raises ValueError without rows.
    """
    counts_NAK = _counts(labels_NA, found_NA)
    sums_RAK = resampled_sums(
        counts_NAK.reshape(len(counts_NAK), -1), participants
    ).reshape(-1, len(units), KINDS)  # fmt: skip
    whole_AK = counts_NAK.sum(0)
    shown_A, both_A, always_A = _f1(whole_AK), _both(whole_AK), _always(whole_AK)
    drawn_RA = _drawn_f1(sums_RAK, whole_AK)
    drawn_other_RA = _drawn_f1(sums_RAK[..., ::-1], whole_AK[..., ::-1])
    drawn_both_RA = _mean_defined(np.stack([drawn_RA, drawn_other_RA], axis=-1))
    rows = tuple(
        UnitScore(
            unit=unit,
            labelled=int(whole_AK[place, 0] + whole_AK[place, 2]),
            found=int(whole_AK[place, 0] + whole_AK[place, 1]),
            known=int(whole_AK[place].sum()),
            f1=float(shown_A[place]),
            f1_interval=middle(drawn_RA[:, place]),
            both_f1=float(both_A[place]),
            always_f1=float(always_A[place]),
        )
        for place, unit in enumerate(units)
    )
    return UnitScores(
        units=rows,
        f1=float(shown_A.mean()),
        f1_interval=middle(_mean_defined(drawn_RA)),
        both_f1=float(both_A.mean()),
        both_f1_interval=middle(_mean_defined(drawn_both_RA)),
        always_f1=float(always_A.mean()),
        videos=len(labels_NA),
        people=len(set(participants)),
    )


def gain(
    labels_NA: NDArray[np.int64],
    found_NA: NDArray[np.bool_],
    other_NA: NDArray[np.bool_],
    participants: Sequence[str],
) -> tuple[float, Interval]:
    """Return how much higher mean binary F1 is than that of other decisions, and its interval.

    Both are scored on the same redrawn people, so that what they share cancels out.
    """
    drawn = []
    both = [_counts(labels_NA, decided) for decided in (found_NA, other_NA)]
    whole = [_f1(counts.sum(0)).mean() for counts in both]
    for counts in both:
        sums = resampled_sums(counts.reshape(len(counts), -1), participants)
        sums_RAK = sums.reshape(len(sums), -1, KINDS)
        drawn.append(_mean_defined(_drawn_f1(sums_RAK, counts.sum(0))))
    return float(whole[0] - whole[1]), middle(drawn[0] - drawn[1])


def _counts(labels_NA: NDArray[np.int64], found_NA: NDArray[np.bool_]) -> Floats:
    shown, known = labels_NA == 1, labels_NA >= 0
    kinds = (shown & found_NA, ~shown & found_NA, shown & ~found_NA, ~shown & ~found_NA)
    return np.stack([(kind & known) for kind in kinds], axis=-1).astype(np.float64)


def _f1(counts: Floats) -> Floats:
    hits, alarms, misses = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.asarray(2 * hits / np.maximum(2 * hits + alarms + misses, 1))


def _drawn_f1(sums_RAK: Floats, whole_AK: Floats) -> Floats:
    """Return each unit's F1 in each redraw, NaN where it has none there but has one in all."""
    occurs_RA, occurs_A = (counts[..., :3].sum(-1) > 0 for counts in (sums_RAK, whole_AK))
    return np.where(occurs_RA | ~occurs_A, _f1(sums_RAK), np.nan)


def _mean_defined(score: Floats) -> Floats:
    """Return the mean over the last axis, NaN left out; NaN where nothing is left."""
    known = ~np.isnan(score)
    count = known.sum(-1)
    total = np.where(known, score, 0.0).sum(-1)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _both(counts: Floats) -> Floats:
    """Mean F1 of "shown" and "not shown"."""
    return np.asarray((_f1(counts) + _f1(counts[..., ::-1])) / 2)


def _always(counts: Floats) -> Floats:
    """F1 of saying "shown" always."""
    shown, known = counts[..., 0] + counts[..., 2], counts.sum(-1)
    return np.asarray(2 * shown / np.maximum(shown + known, 1))

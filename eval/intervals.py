"""How far a figure may be off: 95 % intervals.

Does: Wilson's interval for a share; a seeded bootstrap that redraws whole participants, because
videos of one person are not independent.  Does not: know which figure it is about.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMAL_975 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


@dataclass(frozen=True)
class Interval:
    """Lower and upper end of a 95 % interval."""

    low: float
    high: float

    def joined(self, other: "Interval") -> "Interval":
        """Return the smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


def wilson(right: int, total: int) -> Interval:
    """Return Wilson's score interval for a share (Wilson 1927); [0, 1] when `total` is 0.

    Assumes independent trials.
    """
    if total == 0:
        return Interval(0.0, 1.0)
    share = right / total
    z2 = NORMAL_975**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = NORMAL_975 * np.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    half = float(half) / (1 + z2 / total)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def participant_draws(
    participants: Sequence[str], seed: int = 0, resamples: int = 1000
) -> Iterator[NDArray[np.int64]]:
    """Yield the positions of every resample: as many participants as there are, with repeats.

    The same seed gives the same draws, so that two figures can be compared draw by draw.
    Raises ValueError without examples.
    """
    group_N, drawn_RP = _drawn(participants, seed, resamples)
    groups = [np.flatnonzero(group_N == group) for group in range(drawn_RP.shape[1])]
    for drawn_P in drawn_RP:
        yield np.concatenate([groups[group] for group in drawn_P])


def resampled_sums(
    value_NK: NDArray[Any], participants: Sequence[str], seed: int = 0, resamples: int = 1000
) -> NDArray[np.float64]:
    """Return the column sums over every resample, one row a resample: what counts are made of.

    The draws are those of `participant_draws`.  Raises ValueError without examples.
    """
    group_N, drawn_RP = _drawn(participants, seed, resamples)
    people = drawn_RP.shape[1]
    sum_PK = np.zeros((people, value_NK.shape[1]))
    np.add.at(sum_PK, group_N, value_NK)
    row_RP = np.arange(len(drawn_RP))[:, None] * people + drawn_RP
    times_RP = np.bincount(row_RP.ravel(), minlength=drawn_RP.size).reshape(drawn_RP.shape)
    return np.asarray(times_RP @ sum_PK, dtype=np.float64)


def by_participant(
    statistic: Callable[[NDArray[np.int64]], float],
    participants: Sequence[str],
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Return the percentile bootstrap interval of `statistic`, whole participants redrawn.

    `statistic` gets positions into the examples, with repeats; a NaN says that it does not exist
    for a draw, which then is left out (no draw left: [0, 1]).  It says nothing when every example
    is right, or with a handful of participants.  Raises ValueError without examples.
    """
    draws = participant_draws(participants, seed, resamples)
    return middle(np.array([statistic(positions) for positions in draws], dtype=np.float64))


def middle(value_R: NDArray[np.float64]) -> Interval:
    """Return the middle 95 % of resampled values, NaN left out; [0, 1] if none is left."""
    known_R = value_R[~np.isnan(value_R)]
    if not known_R.size:
        return Interval(0.0, 1.0)
    low, high = np.quantile(known_R, (0.025, 0.975))
    return Interval(float(low), float(high))


def _drawn(
    participants: Sequence[str], seed: int, resamples: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of every example, in order of appearance, and the groups of every draw."""
    if not participants:
        raise ValueError("an interval needs at least one example")
    place = {name: index for index, name in enumerate(dict.fromkeys(participants))}
    group_N = np.array([place[name] for name in participants], dtype=np.int64)
    generator = np.random.default_rng(seed)
    return group_N, generator.integers(len(place), size=(resamples, len(place)))

"""How far a figure may be off: 95 % intervals.

Does: Wilson's interval for a share; a seeded bootstrap that redraws whole participants, because
videos of one person are not independent.  Does not: know which figure it is about.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    if not participants:
        raise ValueError("an interval needs at least one example")
    members: dict[str, list[int]] = {}
    for position, participant in enumerate(participants):
        members.setdefault(participant, []).append(position)
    groups = [np.array(positions, dtype=np.int64) for positions in members.values()]
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = generator.integers(len(groups), size=len(groups))
        yield np.concatenate([groups[index] for index in drawn])


def each_by_participant(
    statistics: Callable[[NDArray[np.int64]], Sequence[float]],
    participants: Sequence[str],
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Interval, ...]:
    """Return the percentile bootstrap interval of every statistic, whole participants redrawn.

    `statistics` gets positions into the examples, with repeats; a NaN says that a statistic does
    not exist for a draw, which then is left out (no draw left: [0, 1]).  It says nothing when
    every example is right, or with a handful of participants.  Raises ValueError without examples.
    """
    draws = participant_draws(participants, seed, resamples)
    values_RK = np.array([statistics(positions) for positions in draws], dtype=np.float64)
    return tuple(middle(value_R) for value_R in values_RK.T)


def by_participant(
    statistic: Callable[[NDArray[np.int64]], float],
    participants: Sequence[str],
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Return the interval of one statistic; see `each_by_participant`."""
    return each_by_participant(
        lambda positions: (statistic(positions),), participants, seed, resamples
    )[0]


def middle(value_R: NDArray[np.float64]) -> Interval:
    """Return the middle 95 % of resampled values, NaN left out; [0, 1] if none is left."""
    known_R = value_R[~np.isnan(value_R)]
    if not known_R.size:
        return Interval(0.0, 1.0)
    low, high = np.quantile(known_R, (0.025, 0.975))
    return Interval(float(low), float(high))

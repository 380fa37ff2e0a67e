"""How far a figure may be off: 95 % intervals.

Does: Wilson's interval for a share; a seeded bootstrap that redraws whole participants, because
videos of one person are not independent.  Does not: know which figure it is about.
"""

from collections.abc import Callable, Sequence
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


def by_participant(
    statistic: Callable[[NDArray[np.int64]], float],
    participants: Sequence[str],
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Return the percentile bootstrap interval of `statistic`, whole participants redrawn.

    `statistic` gets positions into the examples, with repeats.  The same seed gives the same
    interval.  It says nothing when every example is right, or with a handful of participants.
    Raises ValueError without examples.
    """
    if not participants:
        raise ValueError("an interval needs at least one example")
    members: dict[str, list[int]] = {}
    for position, participant in enumerate(participants):
        members.setdefault(participant, []).append(position)
    groups = [np.array(positions, dtype=np.int64) for positions in members.values()]
    generator = np.random.default_rng(seed)
    values_R = np.empty(resamples)
    for resample in range(resamples):
        drawn = generator.integers(len(groups), size=len(groups))
        values_R[resample] = statistic(np.concatenate([groups[index] for index in drawn]))
    low, high = np.quantile(values_R, (0.025, 0.975))
    return Interval(float(low), float(high))

"""Which evaluation was the best so far, and whether it is time to stop.

Does: decide from the figures alone, so that a resumed training decides as an undisturbed one.
Does not: evaluate, or save.
"""

from collections.abc import Sequence


def is_best(scores: Sequence[float]) -> bool:
    """Whether the last evaluation is better than all before it; an equal one is not."""
    return all(scores[-1] > earlier for earlier in scores[:-1])


def is_over(scores: Sequence[float], patience: int | None) -> bool:
    """Whether so many evaluations in a row brought nothing better; never where patience is None."""
    if patience is None:
        return False
    best = scores.index(max(scores))
    return len(scores) - 1 - best >= patience

"""From the probabilities of segments to those of the video.

Does: named pooling functions and the decision by threshold.  Does not: calibrate, or know engines.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from mllm_affect.errors import UserError

Distribution = Mapping[str, float]
"""Probability per allowed answer; sums to one."""

PoolOne = Callable[[Sequence[float], Sequence[float]], float]
"""Probabilities of one answer in each segment, and the segments' durations in seconds."""


def _mean(probabilities: Sequence[float], durations: Sequence[float]) -> float:
    return math.fsum(probabilities) / len(durations)


def _duration_mean(probabilities: Sequence[float], durations: Sequence[float]) -> float:
    total = math.fsum(durations)
    if total <= 0.0:
        return _mean(probabilities, durations)
    return math.fsum(p * d for p, d in zip(probabilities, durations, strict=True)) / total


def _max(probabilities: Sequence[float], _durations: Sequence[float]) -> float:
    return max(probabilities)


def _noisy_or(probabilities: Sequence[float], _durations: Sequence[float]) -> float:
    return 1.0 - math.prod(1.0 - p for p in probabilities)


POOLINGS: Mapping[str, PoolOne] = {
    "mean": _mean,
    "duration_mean": _duration_mean,
    "max": _max,
    "noisy_or": _noisy_or,
}
"""mean: every segment counts alike; duration_mean: every second does; max: the most probable
segment decides; noisy_or: one minus the chance that no segment shows it, segments independent."""


def check_pooling(name: str) -> None:
    """Raise UserError `unknown_pooling` when no pooling has that name."""
    if name not in POOLINGS:
        raise UserError(
            "unknown_pooling", f"No pooling is called {name!r}; use one of {', '.join(POOLINGS)}."
        )


def pool(
    name: str,
    segments: Sequence[Distribution],
    durations: Sequence[float],
    positive: str | None = None,
) -> dict[str, float]:
    """Return the video's probability of every answer.

    With a `positive` answer, only its probability is pooled by the named function; the others
    share the rest as they do by duration_mean.  Without one, every answer is pooled and the
    results are renormalised.  `durations` in seconds, one a segment; at least one segment.
    Raises UserError `unknown_pooling`.
    """
    check_pooling(name)
    answers = list(segments[0])
    if positive is None:
        pooled = {a: POOLINGS[name]([s[a] for s in segments], durations) for a in answers}
        return _normalised(pooled)
    chance = min(1.0, POOLINGS[name]([s[positive] for s in segments], durations))
    others = {
        a: _duration_mean([s[a] for s in segments], durations) for a in answers if a != positive
    }
    shares = _normalised(others)
    return {a: chance if a == positive else (1.0 - chance) * shares[a] for a in answers}


def decide(probabilities: Distribution, positive: str | None, threshold: float) -> str:
    """Return the answer: `positive` where it reaches `threshold`, else the most probable other.

    Without a `positive`, the most probable one; the first named wins a tie.
    """
    if positive is None:
        return max(probabilities, key=lambda answer: probabilities[answer])
    if probabilities[positive] >= threshold:
        return positive
    others = [answer for answer in probabilities if answer != positive]
    return max(others, key=lambda answer: probabilities[answer])


def _normalised(weights: Distribution) -> dict[str, float]:
    total = math.fsum(weights.values())
    if total <= 0.0:
        return dict.fromkeys(weights, 1.0 / len(weights))
    return {answer: weight / total for answer, weight in weights.items()}

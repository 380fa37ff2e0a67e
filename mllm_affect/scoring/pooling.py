"""From the probabilities of segments to those of the video.

Does: named pooling functions, some with a number in their name (`top_k:2`), and the decision by
threshold.  Does not: calibrate, or know engines.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mllm_affect.errors import UserError
from mllm_affect.scoring.logits import logit, sigmoid

Distribution = Mapping[str, float]
"""Probability per allowed answer; sums to one."""

PoolOne = Callable[[Sequence[float], Sequence[float]], float]
"""Probabilities of one answer in each segment, and the segments' durations in seconds."""


def _mean(probabilities: Sequence[float], _durations: Sequence[float]) -> float:
    return math.fsum(probabilities) / len(probabilities)


def _duration_mean(probabilities: Sequence[float], durations: Sequence[float]) -> float:
    total = math.fsum(durations)
    if total <= 0.0:
        return _mean(probabilities, durations)
    return math.fsum(p * d for p, d in zip(probabilities, durations, strict=True)) / total


def _max(probabilities: Sequence[float], _durations: Sequence[float]) -> float:
    return max(probabilities)


def _noisy_or(probabilities: Sequence[float], _durations: Sequence[float]) -> float:
    return 1.0 - math.prod(1.0 - p for p in probabilities)


def _logit_mean(probabilities: Sequence[float], durations: Sequence[float]) -> float:
    return sigmoid(_mean([logit(p) for p in probabilities], durations))


def _log_sum_exp(
    probabilities: Sequence[float], _durations: Sequence[float], sharpness: float
) -> float:
    logits = [logit(p) for p in probabilities]
    highest = max(logits)
    weights = [math.exp(sharpness * (value - highest)) for value in logits]
    return sigmoid(highest + math.log(math.fsum(weights) / len(weights)) / sharpness)


def _top_k(probabilities: Sequence[float], durations: Sequence[float], count: float) -> float:
    return _mean(sorted(probabilities, reverse=True)[: round(count)], durations)


POOLINGS: Mapping[str, PoolOne] = {
    "mean": _mean,
    "duration_mean": _duration_mean,
    "max": _max,
    "noisy_or": _noisy_or,
    "logit_mean": _logit_mean,
}
"""On probabilities: mean (every segment counts alike), duration_mean (every second does), max (the
most probable segment decides), noisy_or (one minus the chance that no segment shows it, segments
independent).  On logits: logit_mean."""

NUMBERED: Mapping[str, Callable[[Sequence[float], Sequence[float], float], float]] = {
    "log_sum_exp": _log_sum_exp,
    "top_k": _top_k,
}
"""log_sum_exp:R on logits z, log(mean(exp(R z))) / R: logit_mean for R towards 0, max for large R.
top_k:K on probabilities: the mean of the K most probable segments, of all where there are fewer."""

CANDIDATES = (
    "duration_mean", "mean", "logit_mean", "log_sum_exp:1", "log_sum_exp:4",
    "top_k:2", "top_k:3", "max", "noisy_or",
)  # fmt: skip
"""What calibration chooses from; of equals, the one named first."""


def find_pooling(name: str) -> PoolOne:
    """Return the pooling of that name.  Raises UserError `unknown_pooling`."""
    if name in POOLINGS:
        return POOLINGS[name]
    kind, _, text = name.partition(":")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    sound = math.isfinite(number) and number > 0 and (kind != "top_k" or number == int(number))
    if kind not in NUMBERED or not sound:
        known = ", ".join((*POOLINGS, "log_sum_exp:R with R above 0", "top_k:K with a whole K"))
        raise UserError("unknown_pooling", f"No pooling is called {name!r}; use one of {known}.")
    return partial(_numbered, NUMBERED[kind], number)


def _numbered(
    function: Callable[[Sequence[float], Sequence[float], float], float],
    number: float,
    probabilities: Sequence[float],
    durations: Sequence[float],
) -> float:
    return function(probabilities, durations, number)


def check_pooling(name: str) -> None:
    """Raise UserError `unknown_pooling` when no pooling has that name."""
    find_pooling(name)


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
    pool_one = find_pooling(name)
    if positive is None:
        pooled = {a: pool_one([s[a] for s in segments], durations) for a in segments[0]}
        return _normalised(pooled)
    chance = min(1.0, pool_one([s[positive] for s in segments], durations))
    return with_chance(chance, segments, durations, positive)


def with_chance(
    chance: float, segments: Sequence[Distribution], durations: Sequence[float], positive: str
) -> dict[str, float]:
    """Return probabilities in which `positive` has `chance`; the others share the rest.

    They share it as they do by duration_mean over the segments.
    """
    answers = list(segments[0])
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

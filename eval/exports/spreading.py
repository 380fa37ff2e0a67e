"""Probabilities spread over the whole scale, for a metric that looks at fixed thresholds.

Does: replace probabilities by their ranks without changing an answer or the order.
Does not: calibrate; a spread score is no probability any more.

The challenge's average precision steps through thresholds 0, 0.001, …, 0.999 and gives a perfect
ranker whose positives all say 0.9 only 0.5 (eval.metrics.challenge_average_precision).  Spreading
takes that artefact away and adds nothing: videos with one probability keep one score.
"""

from collections.abc import Sequence

MIDDLE = 0.5


def spread(probabilities: Sequence[float], positive: Sequence[bool]) -> list[float]:
    """Return scores in [0, 1): at least 0.5 exactly where `positive`, in the order of the
    probabilities on either side, evenly spaced, equal for equal probabilities.

    Raises ValueError when the lengths differ.
    """
    pairs = list(zip(probabilities, positive, strict=True))
    score_of: dict[tuple[float, bool], float] = {}
    for side in (False, True):
        values = sorted({value for value, said in pairs if said is side})
        for rank, value in enumerate(values):
            share = (rank + 0.5) / len(values)
            score_of[value, side] = MIDDLE * share + (MIDDLE if side else 0.0)
    return [score_of[pair] for pair in pairs]

"""Between probabilities and logits.

Does: convert, with the ends held away from infinity.  Does not: calibrate or pool.
"""

import math
from collections.abc import Mapping

NEAREST = 1e-12
"""How near to 0 and 1 a probability may come before its logit is taken (27.6 and -27.6)."""

LOWEST = 1e-43
"""Least probability in a segment's logit; engines give no less (see engine.answer_tree.LOWEST)."""


def logit(probability: float) -> float:
    """Return log(p / (1 - p)), p held within [1e-12, 1 - 1e-12]."""
    held = min(max(probability, NEAREST), 1.0 - NEAREST)
    return math.log(held) - math.log1p(-held)


def sigmoid(value: float) -> float:
    """Return 1 / (1 + exp(-value)) without overflow."""
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    odds = math.exp(value)
    return odds / (1.0 + odds)


def segment_logit(probabilities: Mapping[str, float], positive: str) -> float:
    """Return log p(positive) - log p(any other answer): logit(yes) - logit(no) for two answers.

    Taken from both sides rather than from p and 1 - p, so that it stays exact where an engine is
    sure.  Within about [-99, 99].
    """
    others = math.fsum(value for answer, value in probabilities.items() if answer != positive)
    return math.log(max(probabilities[positive], LOWEST)) - math.log(max(others, LOWEST))

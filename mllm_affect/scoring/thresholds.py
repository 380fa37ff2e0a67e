"""At which probability a video is answered positive: policies by name.

Does: turn a policy and labelled probabilities into a threshold.  Does not: search for the best
single value, which overfits small validation splits.
"""

from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from mllm_affect.errors import UserError
from mllm_affect.scoring.calibration import Flags, Floats
from mllm_affect.scoring.measures import macro_f1

ThresholdPolicy = Literal["fixed", "plateau", "prevalence"]
"""fixed: 0.5.  plateau: the centre of the widest range of thresholds whose macro-F1 is within
PLATEAU of the best.  prevalence: as many videos are answered positive as are positive."""

POLICIES: tuple[str, ...] = get_args(ThresholdPolicy)
FIXED = 0.5
PLATEAU = 0.01


def check_policy(name: str) -> ThresholdPolicy:
    """Return the policy of that name.  Raises UserError `unknown_threshold_policy`."""
    for policy in get_args(ThresholdPolicy):
        if policy == name:
            return policy  # type: ignore[no-any-return]
    raise UserError(
        "unknown_threshold_policy",
        f"No threshold policy is called {name!r}; use one of {', '.join(POLICIES)}.",
    )


def choose_threshold(policy: ThresholdPolicy, probability_N: Floats, positive_N: Flags) -> float:
    """Return the threshold in [0, 1] that the policy gives on labelled probabilities."""
    if policy == "plateau":
        return _plateau_centre(probability_N, positive_N)
    if policy == "prevalence":
        return _at_prevalence(probability_N, int(positive_N.sum()))
    return FIXED


def _plateau_centre(probability_N: Floats, positive_N: Flags) -> float:
    # Between two neighbouring probabilities no decision changes.
    edges = np.unique(np.concatenate([[0.0], probability_N, [1.0]]))
    spans = [(float(low), float(high)) for low, high in pairwise(edges)]
    scores = [macro_f1(probability_N, positive_N, high) for _, high in spans]
    good = [score >= max(scores) - PLATEAU for score in scores]
    widest, start = (0.0, 0.0), None
    for (low, high), is_good in zip(spans, good, strict=True):
        if not is_good:
            start = None
            continue
        start = low if start is None else start
        if high - start > widest[1] - widest[0]:
            widest = (start, high)
    return (widest[0] + widest[1]) / 2


def _at_prevalence(probability_N: Floats, positives: int) -> float:
    ranked = np.sort(probability_N)[::-1]
    if positives == len(ranked):
        return float(ranked[-1]) / 2
    if positives == 0:
        return (float(ranked[0]) + 1.0) / 2
    return float(ranked[positives - 1] + ranked[positives]) / 2

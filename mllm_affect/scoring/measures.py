"""How good probabilities of the positive answer are, for choosing among ways to score.

Does: negative log-likelihood, expected calibration error, macro-F1 at a threshold, and an interval
that redraws whole participants.  Does not: report (see eval; tests hold the two together).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm_affect.scoring.calibration import Flags, Floats
from mllm_affect.scoring.logits import NEAREST

BINS = 10
RESAMPLES = 500


def negative_log_likelihood(probability_N: Floats, positive_N: Flags) -> float:
    """Return the mean of -log p(label), natural logarithm, p held within [1e-12, 1 - 1e-12]."""
    held_N = np.clip(probability_N, NEAREST, 1 - NEAREST)
    return float(-np.where(positive_N, np.log(held_N), np.log1p(-held_N)).mean())


def calibration_error(probability_N: Floats, positive_N: Flags, bins: int = BINS) -> float:
    """Return the mean distance between probability and hit rate in equally wide bins.

    Weighted by the videos in each bin (the expected calibration error).
    """
    bin_N = np.minimum((probability_N * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(float(probability_N[bin_N == index].sum() - positive_N[bin_N == index].sum()))
        for index in np.unique(bin_N)
    ]
    return sum(gaps) / len(probability_N)


def macro_f1(probability_N: Floats, positive_N: Flags, threshold: float) -> float:
    """Return the mean F1 of both classes, answered positive from `threshold` on."""
    return macro_f1_of(probability_N >= threshold, positive_N)


def macro_f1_of(said_N: Flags, positive_N: Flags) -> float:
    """Return the mean F1 of both classes; one that is neither labelled nor answered is left out."""
    scores = []
    for label_N, answer_N in ((positive_N, said_N), (~positive_N, ~said_N)):
        labelled_or_answered = int(label_N.sum() + answer_N.sum())
        if labelled_or_answered:
            scores.append(2 * int((label_N & answer_N).sum()) / labelled_or_answered)
    return float(np.mean(scores))


def by_participant(
    statistic: Callable[[NDArray[np.int64]], float], participants: Sequence[str], seed: int
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of `statistic`, whole participants redrawn.

    `statistic` gets positions into the videos, with repeats.
    """
    _, member_N = np.unique(np.array(participants), return_inverse=True)
    groups = [np.flatnonzero(member_N == index) for index in range(int(member_N.max()) + 1)]
    generator = np.random.default_rng(seed)
    values_R = [
        statistic(
            np.concatenate([groups[i] for i in generator.integers(len(groups), size=len(groups))])
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(values_R, (0.025, 0.975))
    return float(low), float(high)

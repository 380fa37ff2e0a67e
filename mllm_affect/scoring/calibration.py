"""Temperature scaling of the positive answer's pooled probability.

Does: fit a temperature (and a bias) on labelled videos and apply them.  Does not: pool, choose a
threshold or read files.

p' = sigmoid(logit(p) / temperature + bias) (Guo et al. 2017, "On calibration of modern neural
networks"; with the bias it is Platt's scaling).  Fitted by negative log-likelihood against Platt's
smoothed targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), so that videos that are separated without
fault do not drive the temperature to zero (Lin, Lin and Weng 2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.scoring.logits import logit, sigmoid

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TEMPERATURES = (0.05, 100.0)
"""Bounds of the fitted temperature."""

BIASES = (-20.0, 20.0)


@dataclass(frozen=True)
class Calibration:
    """How a pooled probability becomes the one that is told; the default changes nothing."""

    temperature: float = 1.0
    bias: float = 0.0

    def apply(self, probability: float) -> float:
        """Return the calibrated probability; a higher one never becomes a lower one."""
        return sigmoid(logit(probability) / self.temperature + self.bias)

    def apply_all(self, probability_N: Floats) -> Floats:
        """Return the calibrated probability of each."""
        return np.array([self.apply(float(value)) for value in probability_N])


def fit_calibration(probability_N: Floats, positive_N: Flags, with_bias: bool) -> Calibration:
    """Fit on pooled probabilities and whether each video is positive.

    Raises UserError `one_sided_labels` when every video is positive or none is.
    """
    from scipy.optimize import minimize

    positives = int(positive_N.sum())
    negatives = len(positive_N) - positives
    if not positives or not negatives:
        raise UserError(
            "one_sided_labels",
            f"Calibration needs videos of both kinds; there are {positives} positive and "
            f"{negatives} negative ones.",
        )
    target_N = np.where(positive_N, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    logit_N = np.array([logit(float(value)) for value in probability_N])

    def loss(weights: Floats) -> tuple[float, Floats]:
        score_N = weights[0] * logit_N + weights[1]
        error_N = np.array([sigmoid(float(value)) for value in score_N]) - target_N
        value = float((np.logaddexp(0.0, score_N) - target_N * score_N).mean())
        return value, np.array([(error_N * logit_N).mean(), error_N.mean()])

    lowest, highest = TEMPERATURES
    bounds = [(1 / highest, 1 / lowest), BIASES if with_bias else (0.0, 0.0)]
    # TNC keeps to the bounds without BLAS, whose threads cost more than two numbers are worth.
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="TNC", bounds=bounds)
    return Calibration(temperature=float(1.0 / found.x[0]), bias=float(found.x[1]))

"""Temperature scaling of the positive answer's pooled probability.

Does: fit a temperature (and a bias) on labelled videos and apply them.  Does not: pool, choose a
threshold or read files.

p' = sigmoid(logit(p) / temperature + bias) (Guo et al. 2017, "On calibration of modern neural
networks"; with the bias it is Platt's scaling).  Fitted by negative log-likelihood under a weak
prior, standard normal on log(temperature) and on the bias: without evidence little changes, and
a few videos that are separated without fault do not drive the temperature to zero.
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
    from scipy.special import expit

    positives = int(positive_N.sum())
    negatives = len(positive_N) - positives
    if not positives or not negatives:
        raise UserError(
            "one_sided_labels",
            f"Calibration needs videos of both kinds; there are {positives} positive and "
            f"{negatives} negative ones.",
        )
    target_N = positive_N.astype(np.float64)
    logit_N = np.array([logit(float(value)) for value in probability_N])

    def loss(weights: Floats) -> tuple[float, Floats]:
        steepness = np.exp(weights[0])  # one over the temperature
        score_N = steepness * logit_N + weights[1]
        error_N = expit(score_N) - target_N
        value = (np.logaddexp(0.0, score_N) - target_N * score_N).sum() + (weights**2).sum() / 2
        slope = np.array([steepness * (error_N * logit_N).sum(), error_N.sum()]) + weights
        return float(value) / len(logit_N), slope / len(logit_N)

    lowest, highest = TEMPERATURES
    bounds = [(-np.log(highest), -np.log(lowest)), BIASES if with_bias else (0.0, 0.0)]
    # TNC keeps to the bounds without BLAS, whose threads cost more than two numbers are worth.
    found = minimize(loss, np.zeros(2), jac=True, method="TNC", bounds=bounds)
    return Calibration(temperature=float(np.exp(-found.x[0])), bias=float(found.x[1]))

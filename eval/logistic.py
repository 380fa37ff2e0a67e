"""A small regularised logistic regression.

Does: fit by Newton's method and give probabilities.  Does not: choose features or strength.

Minimises sum(log-loss) + penalty / 2 * |weights|^2 with a free intercept, over features scaled to
mean 0 and variance 1 on the data it was fitted on.  With penalty 1 that is scikit-learn's
LogisticRegression(C=1) behind its StandardScaler, to which the tests hold it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS = 100
ENOUGH = 1e-10


@dataclass(frozen=True)
class Logistic:
    """A fitted regression.  mean_F, scale_F, weight_F: one value a feature."""

    mean_F: Floats
    scale_F: Floats
    weight_F: Floats
    intercept: float

    def probabilities(self, feature_NF: Floats) -> Floats:
        """Return the probability of a hit for every row."""
        scaled_NF = (feature_NF - self.mean_F) / self.scale_F
        return _sigmoid(scaled_NF @ self.weight_F + self.intercept)


def fit(feature_NF: Floats, hit_N: NDArray[np.bool_], penalty: float = 1.0) -> Logistic:
    """Fit on rows of features and whether each is a hit.

    Raises ValueError when there are not both hits and misses.
    """
    if hit_N.all() or not hit_N.any():
        raise ValueError("a regression needs hits and misses")
    mean_F, spread_F = feature_NF.mean(axis=0), feature_NF.std(axis=0)
    scale_F = np.where(spread_F > 0.0, spread_F, 1.0)
    design_NF = np.column_stack([(feature_NF - mean_F) / scale_F, np.ones(len(hit_N))])
    penalty_F = np.append(np.full(feature_NF.shape[1], penalty), 0.0)
    target_N = hit_N.astype(np.float64)
    weight_F = np.zeros(design_NF.shape[1])
    for _ in range(STEPS):
        p_N = _sigmoid(design_NF @ weight_F)
        gradient_F = design_NF.T @ (p_N - target_N) + penalty_F * weight_F
        curvature_FF = (design_NF.T * (p_N * (1 - p_N))) @ design_NF + np.diag(penalty_F)
        step_F = np.linalg.lstsq(curvature_FF, gradient_F, rcond=None)[0]
        weight_F = _shortened(design_NF, target_N, penalty_F, weight_F, step_F)
        if np.abs(step_F).max() < ENOUGH:
            break
    return Logistic(mean_F, scale_F, weight_F[:-1], float(weight_F[-1]))


def _shortened(
    design_NF: Floats, target_N: Floats, penalty_F: Floats, weight_F: Floats, step_F: Floats
) -> Floats:
    """Take the step, halved until the loss does not grow."""

    def loss(candidate_F: Floats) -> float:
        score_N = design_NF @ candidate_F
        fit_loss = np.logaddexp(0.0, score_N) - target_N * score_N
        return float(fit_loss.sum() + (penalty_F * candidate_F**2).sum() / 2)

    before, size = loss(weight_F), 1.0
    while loss(weight_F - size * step_F) > before + ENOUGH and size > ENOUGH:
        size /= 2
    return weight_F - size * step_F


def _sigmoid(score_N: Floats) -> Floats:
    held_N = np.clip(score_N, -500.0, 500.0)
    return np.asarray(1.0 / (1.0 + np.exp(-held_N)), dtype=np.float64)

"""Attention over a few dozen tokens.

Does: what scaled_dot_product_attention does, after Vaswani et al. 2017.  Does not: mask.  At these
sizes a fused kernel takes several times as long on a CPU as its three steps.
"""

from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what queries (..., Q, D) get from values (..., N, V), weighed by keys (..., N, D)."""
    weights = (query @ key.transpose(-1, -2) / key.shape[-1] ** 0.5).softmax(-1)
    found: Tensor = weights @ value
    return found

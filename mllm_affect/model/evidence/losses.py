"""The loss on action units: asymmetric, with the negative side as published.

Does: one loss over the labels that are known.  Does not: weigh it against others (see config).
"""

import torch
from torch import Tensor
from torch.nn import functional

FOCUS = 2.0
"""Power by which easy negatives count less; positives are not focused (our reading)."""

MARGIN = 0.05
"""Negatives below this probability count nothing."""

NEARLY_ONE = 1.0 - 1e-6


def unit_loss(logits_BA: Tensor, labels_BA: Tensor) -> Tensor:
    """Return the asymmetric loss over known labels (0 or 1; below 0 is unknown), averaged.

    Ridnik et al., "Asymmetric Loss for Multi-Label Classification", 2021: the weight of a negative
    is its shifted probability to the power FOCUS.  (The predecessor's code inverts that weight.)
    """
    known_BA = labels_BA >= 0
    if not bool(known_BA.any()):
        return logits_BA.sum() * 0.0
    logits, labels = logits_BA[known_BA], labels_BA[known_BA].to(logits_BA.dtype)
    shifted = (logits.sigmoid() - MARGIN).clamp(0.0, NEARLY_ONE)
    negative = torch.log1p(-shifted) * shifted**FOCUS
    return -(labels * functional.logsigmoid(logits) + (1.0 - labels) * negative).mean()

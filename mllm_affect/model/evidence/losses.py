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

    Several predictions of the same labels (..., B, A) give as many losses (...), 0 where no label
    is known.  Ridnik et al., "Asymmetric Loss for Multi-Label Classification", 2021: the weight of
    a negative is its shifted probability to the power FOCUS.  (The predecessor's code inverts that
    weight.)
    """
    known_BA = labels_BA >= 0
    labels = labels_BA.to(logits_BA.dtype)
    shifted = (logits_BA.sigmoid() - MARGIN).clamp(0.0, NEARLY_ONE)
    negative = torch.log1p(-shifted) * shifted**FOCUS
    gain = torch.where(known_BA, torch.lerp(negative, functional.logsigmoid(logits_BA), labels), 0)
    return -gain.sum((-2, -1)) / known_BA.sum().clamp_min(1)

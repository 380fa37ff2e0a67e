"""CCR, counterfactual consistency regularisation: what if somebody else had made this movement?

Does: choose the other person, swap the appearance, and measure how far the answers move.
Does not: run the projector.  From the abstract: counterfactual samples are built and predictions
kept consistent.  Our reading: the intervention swaps the channel statistics of the mid-level map
(its "style", as in AdaIN, Huang and Belongie 2017) with those of a clip of another person with the
same action units; the instruction token stays; the answers of both are compared.
"""

import torch
from torch import Tensor

SMALLEST_SPREAD = 1e-5


def partners(labels_BA: Tensor, subjects_B: Tensor) -> Tensor:
    """Return for each clip the place of one of another person with the same labels, else its own.

    Deterministic: the next such clip of the batch, in a circle.  Unknown labels (below 0) must
    match too, and a clip of which nothing is known is nobody's partner.
    """
    count = len(subjects_B)
    same_BB = (labels_BA[:, None] == labels_BA[None]).all(-1)
    known_B = (labels_BA >= 0).any(-1)
    fits_BB = same_BB & known_B & (subjects_B[:, None] != subjects_B[None])
    turns_BB = (torch.arange(count)[None] - torch.arange(count)[:, None]) % count
    distance_BB = turns_BB.to(fits_BB.device).masked_fill(~fits_BB, count)
    nearest_B = distance_BB.argmin(1)
    own_B = torch.arange(count, device=fits_BB.device)
    return torch.where(fits_BB.any(1), nearest_B, own_B)


def swap_appearance(mid_BCTHW: Tensor, changed_M: Tensor, partner_M: Tensor) -> Tensor:
    """Return the maps of M clips with each channel's mean and spread those of their partners'.

    Clips are named by their places in the batch.  Statistics are taken over all places of the face
    and all moments, so that what moves, and when, stays.
    """
    middle = mid_BCTHW.mean((2, 3, 4), keepdim=True)
    centred_BCTHW = mid_BCTHW - middle
    spread = (centred_BCTHW.square().mean((2, 3, 4), keepdim=True) + SMALLEST_SPREAD).sqrt()
    scale = spread[partner_M] / spread[changed_M]
    return centred_BCTHW.index_select(0, changed_M) * scale + middle[partner_M]


def consistency(factual_MA: Tensor, moved_MA: Tensor) -> Tensor:
    """Return the symmetric divergence of the units' probabilities, averaged; logits come in.

    Kullback-Leibler divergence of Bernoulli variables in both directions, halved; the factual side
    is held constant.
    """
    held_MA = factual_MA.detach()
    # (p - q)(logit p - logit q) is the sum of both directions.
    return 0.5 * ((held_MA.sigmoid() - moved_MA.sigmoid()) * (held_MA - moved_MA)).mean()

"""CCR, counterfactual consistency regularisation: what if somebody else had made this movement?

Does: choose the other person, swap the appearance, and measure how far the answers move.
Does not: run the projector.  From the abstract: counterfactual samples are built and predictions
kept consistent.  Our reading: the intervention gives the mid-level map what stands still in that of
another person, who shows other action units; both tokens are computed anew; the answers of both are
compared.

The other one must show other units: who shows the same has, in data that mislead, what misleads in
common too.  And a token that was kept would keep it (docs/design/0033).
"""

import torch
from torch import Tensor


def partners(labels_BA: Tensor, subjects_B: Tensor) -> Tensor:
    """Return for each clip the place of one of another person with other labels, else its own.

    Deterministic: the next such clip of the batch, in a circle.  Other are labels that differ where
    both are known (not below 0): a clip of which nothing is known has no partner, and is nobody's.
    """
    count = len(subjects_B)
    known_BA = labels_BA >= 0
    differ_BBA = (labels_BA[:, None] != labels_BA[None]) & known_BA[:, None] & known_BA[None]
    fits_BB = differ_BBA.any(-1) & (subjects_B[:, None] != subjects_B[None])
    turns_BB = (torch.arange(count)[None] - torch.arange(count)[:, None]) % count
    distance_BB = turns_BB.to(fits_BB.device).masked_fill(~fits_BB, count)
    nearest_B = distance_BB.argmin(1)
    own_B = torch.arange(count, device=fits_BB.device)
    return torch.where(fits_BB.any(1), nearest_B, own_B)


def swap_appearance(mid_BCTHW: Tensor, changed_M: Tensor, partner_M: Tensor) -> Tensor:
    """Return the maps of M clips with the mean over all moments that their partners' have.

    Clips are named by their places in the batch.  Face, light and background stand still, each at
    its place; what moves, where, and when, stays.
    """
    still_BC1HW = mid_BCTHW.mean(2, keepdim=True)
    own, other = (still_BC1HW.index_select(0, who_M) for who_M in (changed_M, partner_M))
    return mid_BCTHW.index_select(0, changed_M) + (other - own)


def consistency(factual_MA: Tensor, moved_MA: Tensor) -> Tensor:
    """Return the symmetric divergence of the units' probabilities, averaged; logits come in.

    Kullback-Leibler divergence of Bernoulli variables in both directions, halved; the factual side
    is held constant.
    """
    held_MA = factual_MA.detach()
    # (p - q)(logit p - logit q) is the sum of both directions.
    return 0.5 * ((held_MA.sigmoid() - moved_MA.sigmoid()) * (held_MA - moved_MA)).mean()

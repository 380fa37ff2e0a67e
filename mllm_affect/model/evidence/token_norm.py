"""The norm rule of both tokens: as long as a text embedding, by a learned gain.

Does: LayerNorm without bias of its own, times one learned number.  Does not: choose the length.
Our reading: the raw output of an MLP is many times longer than a text embedding and swamps it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.evidence.config import EvidenceConfig


class TokenNorm(nn.Module):
    """Brings a vector to a learned length that starts at the text embeddings' mean."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        self.hidden = config.hidden
        self.gain = nn.Parameter(torch.tensor([config.token_norm / config.hidden**0.5]))

    def forward(self, token_BD: Tensor) -> Tensor:
        """Return the vectors (B, hidden), normalised and scaled."""
        return functional.layer_norm(token_BD, (self.hidden,)) * self.gain

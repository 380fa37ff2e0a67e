"""MGE-EFP, the multi-granularity evidence-enhanced fusion projector, and its plain ablation.

Does: fuse the mid-level map and the high-level vector into one content token.  Does not: see video.
From the abstract: mid-level texture and high-level semantics fused into one compact token.  Our
reading: the map pooled on three grids (one cell, 3 x 3, all), attended to by the high vector; gated
residual and LayerNorm; MLP to the language model's width.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.evidence.attention import attend
from mllm_affect.model.evidence.config import EvidenceConfig
from mllm_affect.model.evidence.token_norm import TokenNorm

COARSE_GRIDS = (1, 3)


def granular_tokens(mid_BCTHW: Tensor) -> Tensor:
    """Return the map as tokens (B, 1 + 9 + H * W, C): on each grid, the peak over moments.

    The peak, because a micro-expression lasts a few moments only.
    """
    peak_BNC = mid_BCTHW.permute(0, 2, 3, 4, 1).flatten(2, 3).amax(1)
    return _pooling(mid_BCTHW.shape[-1], peak_BNC) @ peak_BNC


def _pooling(side: int, like: Tensor) -> Tensor:
    """Return how much of each cell of a square map is in each token (1 + 9 + side^2, side^2)."""
    cells = torch.eye(side**2, dtype=like.dtype, device=like.device)
    maps = cells.reshape(-1, 1, side, side)
    grids = [functional.adaptive_avg_pool2d(maps, grid).flatten(1).T for grid in COARSE_GRIDS]
    return torch.cat([*grids, cells])


def token_count(side: int) -> int:
    """Return how many tokens a face of `side` pixels gives."""
    return sum(grid**2 for grid in COARSE_GRIDS) + (side // 8) ** 2


class GranularFusion(nn.Module):
    """MGE-EFP: the high vector asks the tokens of all granularities."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.places = nn.Parameter(torch.zeros(token_count(config.side), config.width))
        self.enter = nn.Linear(config.middle, config.width)
        self.ask = nn.Linear(2 * config.high, config.width)
        self.key_value = nn.Linear(config.width, 2 * config.width)
        self.leave = nn.Linear(config.width, config.width)
        self.gate = nn.Linear(2 * config.width, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.wide = nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(2 * config.width, config.hidden)
        self.token_norm = TokenNorm(config)

    def forward(self, tokens_BNC: Tensor, high_BD: Tensor) -> Tensor:
        """Return the content token (B, hidden)."""
        query_BW = self.ask(high_BD)
        entered = self.enter(tokens_BNC) + self.places
        key, value = self.key_value(entered).chunk(2, dim=-1)
        seen_BH1W = attend(self._split(query_BW[:, None]), self._split(key), self._split(value))
        seen_BW = self.leave(seen_BH1W.flatten(1))
        gate_BW = self.gate(torch.cat([query_BW, seen_BW], dim=-1)).sigmoid()
        fused_BW = self.norm(query_BW + gate_BW * seen_BW)
        return cast(Tensor, self.token_norm(self.out(functional.gelu(self.wide(fused_BW)))))

    def _split(self, tokens_BNW: Tensor) -> Tensor:
        rows, count, _ = tokens_BNW.shape
        return tokens_BNW.reshape(rows, count, self.heads, -1).transpose(1, 2)


class ConcatFusion(nn.Module):
    """The ablation: mean of the map and high vector side by side, two linear layers."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        self.wide = nn.Linear(config.middle + 2 * config.high, 2 * config.width)
        self.out = nn.Linear(2 * config.width, config.hidden)
        self.token_norm = TokenNorm(config)

    def forward(self, tokens_BNC: Tensor, high_BD: Tensor) -> Tensor:
        """Return the content token (B, hidden); of the tokens only the one-cell grid is used."""
        joined = torch.cat([tokens_BNC[:, 0], high_BD], dim=-1)
        return cast(Tensor, self.token_norm(self.out(functional.gelu(self.wide(joined)))))

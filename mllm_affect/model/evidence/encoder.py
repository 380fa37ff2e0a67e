"""The visual evidence encoder: a small convolutional network over the face and its motion.

Does: give a mid-level map (texture) and a high-level vector.  Does not: make tokens.
Our reading: strided stem per moment, then two space-time convolutions, with the channel weighting
of squeeze-and-excitation (Hu et al. 2018) before the map, as the predecessor is known to have.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.evidence.config import EvidenceConfig
from mllm_affect.model.evidence.face_motion import CHANNELS

STEM_STRIDE, STEM_SIZE = 4, 8


class Excitation(nn.Module):
    """Weights channels by what all places and moments say together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(4, channels // 4))
        self.excite = nn.Linear(max(4, channels // 4), channels)

    def forward(self, map_BCTHW: Tensor) -> Tensor:
        """Return the map with its channels weighted."""
        mean_BC = map_BCTHW.mean((2, 3, 4))
        weight_BC = self.excite(functional.gelu(self.squeeze(mean_BC))).sigmoid()
        return cast(Tensor, map_BCTHW * weight_BC[:, :, None, None, None])


class EvidenceEncoder(nn.Module):
    """Face and motion (B, 2, T, S, S) to a mid-level map and, from that, a high-level vector."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        pad = (STEM_SIZE - STEM_STRIDE) // 2
        self.stem = nn.Conv3d(
            CHANNELS, config.stem, (1, STEM_SIZE, STEM_SIZE),
            (1, STEM_STRIDE, STEM_STRIDE), (0, pad, pad),
        )  # fmt: skip
        self.stem_norm = nn.GroupNorm(1, config.stem)
        self.middle = nn.Conv3d(config.stem, config.middle, 3, 2, 1)
        self.middle_norm = nn.GroupNorm(1, config.middle)
        self.excitation = Excitation(config.middle)
        self.last = nn.Conv3d(config.middle, config.high, 3, 2, 1)
        self.last_norm = nn.GroupNorm(1, config.high)

    def mid_map(self, face_BCTHW: Tensor) -> Tensor:
        """Return the mid-level map (B, middle, T / 2, S / 8, S / 8)."""
        stem = functional.gelu(self.stem_norm(self.stem(face_BCTHW)))
        middle = functional.gelu(self.middle_norm(self.middle(stem)))
        return cast(Tensor, self.excitation(middle))

    def high_vector(self, mid_BCTHW: Tensor) -> Tensor:
        """Return the high-level vector (B, 2 * high): mean and peak over places and moments."""
        import torch

        last = functional.gelu(self.last_norm(self.last(mid_BCTHW)))
        return torch.cat([last.mean((2, 3, 4)), last.amax((2, 3, 4))], dim=1)

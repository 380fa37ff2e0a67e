"""The visual evidence encoder: a small convolutional network over the face and its motion.

Does: give a mid-level map (texture) and a high-level vector.  Does not: make tokens.
Our reading: strided stem per moment, then two space-time convolutions, with the channel weighting
of squeeze-and-excitation (Hu et al. 2018) before the map, as the predecessor is known to have.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.evidence.config import EvidenceConfig

STEM_STRIDE, STEM_SIZE = 4, 8
STEM_PAD = (STEM_SIZE - STEM_STRIDE) // 2
CHANNELS = 2
"""The stem sees appearance, and motion: how far each moment is from the first one
(our reading: from the onset, or the calm face)."""


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
    """Faces (B, T, S, S) to a mid-level map and, from that, a high-level vector."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        self.stem = nn.Conv3d(
            CHANNELS, config.stem, (1, STEM_SIZE, STEM_SIZE),
            (1, STEM_STRIDE, STEM_STRIDE), (0, STEM_PAD, STEM_PAD),
        )  # fmt: skip
        self.stem_norm = nn.GroupNorm(1, config.stem)
        self.middle = nn.Conv3d(config.stem, config.middle, 3, 2, 1)
        self.middle_norm = nn.GroupNorm(1, config.middle)
        self.excitation = Excitation(config.middle)
        self.last = nn.Conv3d(config.middle, config.high, 3, 2, 1)
        self.last_norm = nn.GroupNorm(1, config.high)

    def mid_map(self, face_BTHW: Tensor) -> Tensor:
        """Return the mid-level map (B, middle, T / 2, S / 8, S / 8)."""
        stem = functional.gelu(self.stem_norm(self._stem(face_BTHW)))
        middle = functional.gelu(self.middle_norm(_convolved(self.middle, stem)))
        return cast(Tensor, self.excitation(middle))

    def _stem(self, face_BTHW: Tensor) -> Tensor:
        """Return the stem of appearance and motion, (B, stem, T, S / 4, S / 4).

        Motion is a difference, and a convolution is linear: one of the faces and one of the first
        moment are that of both channels.
        """
        appearance, motion = self.stem.weight[:, :1, 0], self.stem.weight[:, 1:, 0]
        faces = face_BTHW.flatten(0, 1)[:, None]
        moments = functional.conv2d(
            faces, appearance + motion, self.stem.bias, STEM_STRIDE, STEM_PAD
        )
        first_BCHW = functional.conv2d(face_BTHW[:, :1], motion, None, STEM_STRIDE, STEM_PAD)
        moments_BTCHW = moments.reshape(*face_BTHW.shape[:2], *moments.shape[1:])
        moved: Tensor = (moments_BTCHW - first_BCHW[:, None]).transpose(1, 2)
        return moved.contiguous(memory_format=torch.channels_last_3d)

    def high_vector(self, mid_BCTHW: Tensor) -> Tensor:
        """Return the high-level vector (B, 2 * high): mean and peak over places and moments."""
        last = functional.gelu(self.last_norm(_convolved(self.last, mid_BCTHW)))
        return torch.cat([last.mean((2, 3, 4)), last.amax((2, 3, 4))], dim=1)


def _convolved(layer: nn.Conv3d, map_BCTHW: Tensor) -> Tensor:
    """Return what the layer gives; with channels last, which is what a CPU is fastest at."""
    weight = layer.weight.contiguous(memory_format=torch.channels_last_3d)
    return functional.conv3d(map_BCTHW, weight, layer.bias, layer.stride, layer.padding)

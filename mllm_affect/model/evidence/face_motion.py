"""From a video's patches, as the vision tower gets them, to a small face and its motion.

Does: put patches together to pictures again, crop, resample in space and time, subtract the first
moment.  Does not: know the network.  Transformers, ms-swift and vLLM all hand over the same
patches, so that this is the one way in which evidence is computed everywhere.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from mllm_affect.model.evidence.config import Crop, EvidenceConfig

PATCH, MERGE, PAIR = 16, 2, 2
LUMA = (0.299, 0.587, 0.114)
SMALLEST_SPREAD = 0.05
"""Least standard deviation of grey levels (of 2) that a picture is divided by."""
CHANNELS = 2
FACE_SCORE = 0.5
DETECTOR_SIDE = 320


def clips_of_patches(patches_NV: Tensor, grid_B3: Tensor) -> Iterator[Tensor]:
    """Yield each clip's pictures (T, 3, H, W), values in -1 to 1, from Qwen's video patches.

    Patches run over frame pairs, blocks of merged patches, patches in a block; values over channel,
    frame of the pair, line, column: the order of transformers' Qwen2VLVideoProcessor.
    """
    counts = [int(count) for count in grid_B3.prod(-1).tolist()]
    for patches, grid in zip(torch.split(patches_NV, counts), grid_B3.tolist(), strict=True):
        pairs, high, wide = (int(side) for side in grid)
        blocks = patches.reshape(
            pairs, high // MERGE, wide // MERGE, MERGE, MERGE, 3, PAIR, PATCH, PATCH
        )
        # pair, frame, channel, block line, line in block, pixel line, and the same for columns
        ordered = blocks.permute(0, 6, 5, 1, 3, 7, 2, 4, 8)
        yield ordered.reshape(pairs * PAIR, 3, high * PATCH, wide * PATCH)


def face_motion(patches_NV: Tensor, grid_B3: Tensor, config: EvidenceConfig) -> Tensor:
    """Return appearance and motion of every clip, (B, CHANNELS, frames, side, side) float32.

    Appearance is the grey face, at each moment centred and divided by its own spread, because lamps
    flicker before fast cameras; motion is its difference from the first moment (our reading: the
    onset or the calm face).  Clips of any length are
    resampled to the same number of moments, equally far apart, so that nothing is padded.
    """
    faces = [
        _resampled(_cropped(clip_TCHW.float(), config.crop), config)
        for clip_TCHW in clips_of_patches(patches_NV, grid_B3)
    ]
    grey_BTHW = torch.stack(faces)
    middle = grey_BTHW.mean((2, 3), keepdim=True)
    spread = grey_BTHW.std((2, 3), keepdim=True).clamp_min(SMALLEST_SPREAD)
    face_BTHW = (grey_BTHW - middle) / spread
    return torch.stack([face_BTHW, face_BTHW - face_BTHW[:, :1]], dim=1)


def _cropped(clip_TCHW: Tensor, crop: Crop) -> Tensor:
    """Return the square that holds the face."""
    if crop == "face":
        found = _upright_faces(clip_TCHW)
        if found is not None:
            return found
    high, wide = clip_TCHW.shape[-2:]
    side = min(high, wide)
    top, left = (high - side) // 2, (wide - side) // 2
    return clip_TCHW[..., top : top + side, left : left + side]


def _upright_faces(clip_TCHW: Tensor) -> Tensor | None:
    """Return all pictures turned and scaled by the first one's landmarks; None without a face.

    One transform for the whole clip: landmarks found anew in each picture would tremble more than
    a micro-expression moves.
    """
    import numpy as np

    from mllm_affect.media.face.crops import cut_out
    from mllm_affect.media.face.detector import detect

    pictures = ((clip_TCHW + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    frames_THWC = pictures.permute(0, 2, 3, 1).cpu().numpy()
    faces = detect(frames_THWC[0], DETECTOR_SIDE, FACE_SCORE)
    if not faces:
        return None
    face = max(faces, key=lambda found: found.area)
    side = min(frames_THWC.shape[1:3])
    cut = np.stack([cut_out(frame, face.points_52, side) for frame in frames_THWC])
    return torch.from_numpy(cut).permute(0, 3, 1, 2).to(clip_TCHW) / 127.5 - 1.0


def _resampled(clip_TCHW: Tensor, config: EvidenceConfig) -> Tensor:
    """Return the grey face at `frames` moments (frames, side, side)."""
    weights = torch.tensor(LUMA, device=clip_TCHW.device)[None, :, None, None]
    grey_T1HW = (clip_TCHW * weights).sum(1, keepdim=True)
    if grey_T1HW.shape[-1] != config.side:
        grey_T1HW = functional.interpolate(
            grey_T1HW, (config.side, config.side), mode="bilinear", antialias=True
        )
    places = torch.linspace(0, len(grey_T1HW) - 1, config.frames, device=clip_TCHW.device)
    before = places.floor().long()
    after = (before + 1).clamp_max(len(grey_T1HW) - 1)
    share = (places - before)[:, None, None]
    grey_THW = grey_T1HW[:, 0]
    return grey_THW[before] * (1 - share) + grey_THW[after] * share

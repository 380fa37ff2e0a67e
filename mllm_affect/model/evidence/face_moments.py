"""From a video's patches, as the vision tower gets them, to a small face, moment by moment.

Does: put patches together to pictures again, crop, resample in time and space, centre each moment.
Does not: know the network.  Transformers, ms-swift and vLLM all hand over the same
patches, so that this is the one way in which evidence is computed everywhere.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from mllm_affect.model.evidence.config import EvidenceConfig

PATCH, MERGE, PAIR = 16, 2, 2
BLOCK = PATCH * MERGE
LUMA = (0.299, 0.587, 0.114)
SMALLEST_SPREAD = 0.05
"""Least standard deviation of grey levels (of 2) that a picture is divided by."""
FACE_SCORE = 0.5
DETECTOR_SIDE = 320

Grid = tuple[int, int, int]
"""Frame pairs, and patches down and across."""


def clips_of_patches(patches_NV: Tensor, grid_B3: Tensor) -> Iterator[Tensor]:
    """Yield each clip's pictures (T, 3, H, W), values in -1 to 1, from Qwen's video patches.

    Patches run over frame pairs, blocks of merged patches, patches in a block; values over channel,
    frame of the pair, line, column: the order of transformers' Qwen2VLVideoProcessor.
    """
    for clip_NV, grid in zip(_split(patches_NV, grid_B3), _grids(grid_B3), strict=True):
        channels = _blocks(clip_NV[None], grid).unbind(6)
        yield torch.stack([_pictures(channel)[0] for channel in channels], dim=1)


def face_moments(patches_NV: Tensor, grid_B3: Tensor, config: EvidenceConfig) -> Tensor:
    """Return every clip's grey face at equally distant moments, (B, frames, side, side) float32.

    Each moment is centred and divided by its own spread, because lamps flicker before fast cameras.
    Clips of any length give the same number of moments, so that nothing is padded.
    """
    grey_BTHW = _faces(patches_NV, grid_B3, config)
    centred_BTN = grey_BTHW.flatten(2)
    centred_BTN -= centred_BTN.mean(-1, keepdim=True)
    # Not Tensor.std, which takes ten times as long.
    length_BT1 = torch.linalg.vector_norm(centred_BTN, dim=-1, keepdim=True)
    spread_BT1 = length_BT1 / centred_BTN.shape[-1] ** 0.5
    return centred_BTN.div_(spread_BT1.clamp_min(SMALLEST_SPREAD)).view_as(grey_BTHW)


def _faces(patches_NV: Tensor, grid_B3: Tensor, config: EvidenceConfig) -> Tensor:
    """Return the grey faces (B, frames, side, side); clips of one size are made at once."""
    grids = _grids(grid_B3)
    if config.crop == "face":
        clips = clips_of_patches(patches_NV.float(), grid_B3)
        return torch.cat([_resampled(_grey_of(clip_TCHW)[None], config) for clip_TCHW in clips])
    if len(set(grids)) == 1:
        return _middle_faces(
            patches_NV.reshape(len(grids), -1, patches_NV.shape[-1]), grids[0], config
        )
    alone = zip(_split(patches_NV, grid_B3), grids, strict=True)
    return torch.cat([_middle_faces(clip_NV[None], grid, config) for clip_NV, grid in alone])


def _middle_faces(patches_BNV: Tensor, grid: Grid, config: EvidenceConfig) -> Tensor:
    """Return the middle square of clips of one size, grey (B, frames, side, side)."""
    side, top, left = _middle(grid[1] * PATCH, grid[2] * PATCH)
    # Of a wide picture the blocks beside the square are never touched.
    lines, columns = (slice(n // BLOCK, -(-(n + side) // BLOCK)) for n in (top, left))
    blocks = _blocks(patches_BNV, grid)[:, :, lines, columns].float()
    pictures = _pictures(_grey(*blocks.unbind(6)))
    top, left = top % BLOCK, left % BLOCK
    return _resampled(pictures[..., top : top + side, left : left + side], config)


def _grids(grid_B3: Tensor) -> list[Grid]:
    return [(int(pairs), int(high), int(wide)) for pairs, high, wide in grid_B3.tolist()]


def _split(patches_NV: Tensor, grid_B3: Tensor) -> tuple[Tensor, ...]:
    return torch.split(patches_NV, [int(count) for count in grid_B3.prod(-1).tolist()])


def _blocks(patches_BNV: Tensor, grid: Grid) -> Tensor:
    """Return patches by pair, block line and column, patch line and column in the block, channel,
    frame of the pair, pixel line and column."""
    pairs, high, wide = grid
    shape = (pairs, high // MERGE, wide // MERGE, MERGE, MERGE, 3, PAIR, PATCH, PATCH)
    return patches_BNV.reshape(len(patches_BNV), *shape)


def _pictures(channel: Tensor) -> Tensor:
    """Return one channel of `_blocks` as pictures (B, T, H, W)."""
    pairs, high, wide = channel.shape[1:4]
    # pair, frame, block line, line in block, pixel line, and the same for columns
    ordered = channel.permute(0, 1, 6, 2, 4, 7, 3, 5, 8)
    return ordered.reshape(len(channel), pairs * PAIR, high * BLOCK, wide * BLOCK)


def _grey(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _middle(high: int, wide: int) -> tuple[int, int, int]:
    """Return the side of the middle square of a picture, and its first line and column."""
    side = min(high, wide)
    return side, (high - side) // 2, (wide - side) // 2


def _square(pictures: Tensor) -> Tensor:
    """Return the middle square of pictures (..., H, W)."""
    side, top, left = _middle(*pictures.shape[-2:])
    return pictures[..., top : top + side, left : left + side]


def _grey_of(clip_TCHW: Tensor) -> Tensor:
    """Return the grey square that holds the face (T, S, S), the middle one where none is found."""
    found_TCSS = _upright_faces(clip_TCHW)
    return _grey(*(_square(clip_TCHW) if found_TCSS is None else found_TCSS).unbind(1))


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


def _resampled(grey_BTHW: Tensor, config: EvidenceConfig) -> Tensor:
    """Return square clips at `frames` moments (B, frames, side, side)."""
    # Linear along each axis, hence products with small matrices, not a filter a pixel.
    count, side = grey_BTHW.shape[1], grey_BTHW.shape[-1]
    blend_TN = _between(count, config.frames, grey_BTHW.device)
    moments = (blend_TN @ grey_BTHW.flatten(2)).reshape(len(grey_BTHW), -1, side, side)
    if side == config.side:
        return moments
    unit = torch.eye(side, device=moments.device)[None, None]
    size = (config.side, side)
    (scale_WS,) = functional.interpolate(unit, size, mode="bilinear", antialias=True)[0]
    scaled: Tensor = scale_WS @ moments @ scale_WS.T
    return scaled


def _between(count: int, wanted: int, device: torch.device) -> Tensor:
    """Return how much of each of `count` pictures is in each of `wanted` moments (wanted, count).

    Moments lie at equal distances from the first picture to the last, each between two.
    """
    places_T = torch.linspace(0, count - 1, wanted, device=device)
    distance_TN = (places_T[:, None] - torch.arange(count, device=device)).abs()
    return (1.0 - distance_TN).clamp_min(0.0)

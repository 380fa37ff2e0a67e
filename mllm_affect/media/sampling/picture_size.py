"""The size at which a picture is seen, and bringing a decoded frame to it.

Does: find a size in the model's multiples, show frames at it.  Does not: choose frames, or decide
how they are shown (see display).
"""

import math

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.display import shown
from mllm_affect.media.types import FRAME_MULTIPLE, Sampling, Source


def model_size(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Return the model's (width, height) for a picture of this size.

    Both sides are multiples of 32 and at least 32, their product at most `max_pixels`, the aspect
    as near as that allows; pictures are shrunk, and enlarged only to reach the next multiple.
    Raises UserError `bad_sampling` when `max_pixels` does not hold one 32x32 block.
    """
    if max_pixels < FRAME_MULTIPLE**2:
        raise UserError(
            "bad_sampling", f"max_pixels is {max_pixels}; give at least {FRAME_MULTIPLE**2}."
        )
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    wide, high = (max(1.0, side * scale / FRAME_MULTIPLE) for side in (width, height))
    blocks = max_pixels // FRAME_MULTIPLE**2
    choices = [
        (across, down)
        for across in {math.floor(wide), math.ceil(wide)}
        for down in {math.floor(high), math.ceil(high)}
        if across * down <= blocks
    ] or [(min(math.floor(wide), blocks), max(1, blocks // math.floor(wide)))]
    across, down = min(
        choices,
        key=lambda c: abs(math.log(c[0] / wide)) + abs(math.log(c[1] / high)),
    )
    return across * FRAME_MULTIPLE, down * FRAME_MULTIPLE


def face_side(width: int, height: int, max_pixels: int) -> int:
    """Return the side of a face cut out of a picture of this size: a multiple of 32.

    Its square is at most `max_pixels`, and no larger than the picture's shorter side needs.
    """
    most = math.isqrt(max_pixels) // FRAME_MULTIPLE
    needed = math.ceil(min(width, height) / FRAME_MULTIPLE)
    return max(1, min(most, needed)) * FRAME_MULTIPLE


def possible_sizes(source: Source, sampling: Sampling) -> tuple[tuple[int, int], ...]:
    """Return the (width, height) in which frames of a source may be shown to the model."""
    whole = model_size(source.width, source.height, sampling.max_pixels)
    if not sampling.face_only:
        return (whole,)
    side = face_side(source.width, source.height, sampling.max_pixels)
    return whole, (side, side)


def to_model_picture(frame: TimedFrame, source: Source, sampling: Sampling) -> NDArray[np.uint8]:
    """Return one decoded frame at the model's size as shown: HWC uint8 RGB.

    It may lie in the picture's own memory: to be read or copied, never written.
    """
    size = model_size(source.width, source.height, sampling.max_pixels)
    return np.ascontiguousarray(shown(frame.picture, source, *size))


def upright(frame: TimedFrame, source: Source, width: int, height: int) -> NDArray[np.uint8]:
    """Return one decoded frame at a size as shown (see display): HWC uint8 RGB of its own."""
    return np.array(shown(frame.picture, source, width, height), order="C")

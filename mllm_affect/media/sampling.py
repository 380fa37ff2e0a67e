"""Which frames of a segment the model sees, and at which size.

Does: the arithmetic of sampling, and collecting the frames of one segment as they are decoded.
Does not: decode or know files.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.frames import TimedFrame
from mllm_affect.media.types import FRAME_MULTIPLE, Sampling, Segment, Source

SAME_TIME_S = 1e-6
"""Timestamps closer than this are one moment (floats of rational times)."""


def sample_times(segment: Segment, fps: float) -> list[float]:
    """Return start_s + k / fps for all such times before end_s; at least one."""
    count = max(1, math.ceil(segment.duration_s * fps - SAME_TIME_S))
    return [segment.start_s + k / fps for k in range(count)]


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


def to_model_picture(frame: TimedFrame, source: Source, sampling: Sampling) -> NDArray[np.uint8]:
    """Scale one decoded frame to the model's size, turned upright.  Returns HWC uint8 RGB."""
    width, height = model_size(source.width, source.height, sampling.max_pixels)
    turned = source.rotation in (90, 270)
    scaled = frame.picture.reformat(
        width=height if turned else width,
        height=width if turned else height,
        format="rgb24",
        interpolation="AREA",
    )
    upright_HWC = np.rot90(scaled.to_ndarray(), k=source.rotation // 90)
    return np.ascontiguousarray(upright_HWC, dtype=np.uint8)


class SegmentFrames:
    """Collects the sampled frames of one segment: at each time, the frame then on show.

    That is the last frame whose timestamp is not later; a frame is scaled once however often it is
    shown.
    """

    def __init__(self, segment: Segment, source: Source, sampling: Sampling) -> None:
        self._segment, self._source, self._sampling = segment, source, sampling
        self._due = sample_times(segment, sampling.fps)
        self._pictures: list[NDArray[np.uint8]] = []
        self._times: list[float] = []
        self._showing: tuple[TimedFrame, float] | None = None

    def see(self, frame: TimedFrame, time_s: float) -> None:
        """Take the next frame of this segment."""
        self._show_until(time_s - SAME_TIME_S)
        self._showing = (frame, time_s)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return frames_THWC (T even, at least 2) and times_T."""
        self._show_until(math.inf)
        if len(self._pictures) % 2:
            self._pictures.append(self._pictures[-1])
            self._times.append(self._times[-1])
        return np.stack(self._pictures), np.array(self._times, dtype=np.float64)

    def _show_until(self, time_s: float) -> None:
        if self._showing is None:
            return
        frame, shown_s = self._showing
        count = 0
        while count < len(self._due) and self._due[count] < time_s:
            count += 1
        if count:
            picture_HWC = to_model_picture(frame, self._source, self._sampling)
            self._pictures += [picture_HWC] * count
            self._times += [shown_s] * count
            self._due = self._due[count:]

"""Which frames of a segment the model sees, and at which size.

Does: the arithmetic of sampling, and the part of a clip that the model sees (see parts).
Does not: decode or know files.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.types import FRAME_MULTIPLE, Sampling, Source

SAME_TIME_S = 1e-6
"""Timestamps closer than this are one moment (floats of rational times)."""


def sample_count(duration_s: float, fps: float) -> int:
    """Return how many of the times k / fps lie before the end of a segment; at least one."""
    return max(1, math.ceil(duration_s * fps - SAME_TIME_S))


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
    return upright(frame, source, *model_size(source.width, source.height, sampling.max_pixels))


def upright(frame: TimedFrame, source: Source, width: int, height: int) -> NDArray[np.uint8]:
    """Scale one decoded frame to a size as shown, after turning it.  Returns HWC uint8 RGB."""
    turned = source.rotation in (90, 270)
    scaled = frame.picture.reformat(
        width=height if turned else width,
        height=width if turned else height,
        format="rgb24",
        interpolation="AREA",
    )
    upright_HWC = np.rot90(scaled.to_ndarray(), k=source.rotation // 90)
    return np.ascontiguousarray(upright_HWC, dtype=np.uint8)


@dataclass(frozen=True)
class ModelFrames:
    """The part of a clip that the model sees: frames_THWC and times_T, as in Clip."""

    sampling: Sampling

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
        """Say which frames are on show at one of the sampled times."""
        start_s, fps = float(times_N[0]), self.sampling.fps
        shown = times_N - SAME_TIME_S
        count = max(sample_count(end_s - start_s, fps), math.ceil((shown[-1] - start_s) * fps))
        due = start_s + np.arange(count) / fps
        needed_N = np.zeros(len(times_N), dtype=np.bool_)
        needed_N[np.maximum(np.searchsorted(shown, due, side="right") - 1, 0)] = True
        return needed_N

    def begin(self, source: Source, start_s: float) -> "SegmentFrames":
        """Return the collector of one segment."""
        return SegmentFrames(start_s, source, self.sampling)


class SegmentFrames:
    """Collects the sampled frames of one segment: at each start + k / fps, the frame on show then.

    That is the last frame whose timestamp is not later; a frame is scaled once however often it is
    shown.  The end of the segment need not be known before `finish`.
    """

    def __init__(self, start_s: float, source: Source, sampling: Sampling) -> None:
        self._start_s, self._source, self._sampling = start_s, source, sampling
        self._pictures: list[NDArray[np.uint8]] = []
        self._times: list[float] = []
        self._showing: TimedFrame | None = None

    def see(self, frame: TimedFrame) -> None:
        """Take the next frame of this segment."""
        due = 0
        while self._start_s + (self._taken + due) / self._sampling.fps < frame.time_s - SAME_TIME_S:
            due += 1
        self._take(due)
        self._showing = frame

    def finish(self, end_s: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return frames_THWC (T even, at least 2) and times_T of the segment that ends there."""
        self._take(sample_count(end_s - self._start_s, self._sampling.fps) - self._taken)
        if self._taken % 2:
            self._pictures.append(self._pictures[-1])
            self._times.append(self._times[-1])
        return np.stack(self._pictures), np.array(self._times, dtype=np.float64)

    @property
    def _taken(self) -> int:
        return len(self._times)

    def _take(self, count: int) -> None:
        if self._showing is None or count <= 0:
            return
        picture_HWC = to_model_picture(self._showing, self._source, self._sampling)
        self._pictures += [picture_HWC] * count
        self._times += [self._showing.time_s] * count

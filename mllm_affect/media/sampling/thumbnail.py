"""A small picture of each segment, a part of a clip (see parts).

Does: keep the first frame.  Does not: decode, or choose what the model sees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.sampling.picture_size import model_size, upright
from mllm_affect.media.types import Source


@dataclass(frozen=True)
class Thumbnail:
    """The first frame of the segment, upright, at most `max_pixels`: HWC uint8 RGB."""

    max_pixels: int = 160 * 96

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:  # noqa: ARG002
        """The first frame alone."""
        needed_N = np.zeros(len(times_N), dtype=np.bool_)
        needed_N[0] = True
        return needed_N

    def begin(self, source: Source, start_s: float) -> "_First":  # noqa: ARG002
        """Return the collector of one segment."""
        return _First(source, self.max_pixels)


class _First:
    def __init__(self, source: Source, max_pixels: int) -> None:
        self._source, self._max_pixels = source, max_pixels
        self._picture_HWC: NDArray[np.uint8] | None = None

    def see(self, frame: TimedFrame) -> None:
        if self._picture_HWC is None:
            size = model_size(self._source.width, self._source.height, self._max_pixels)
            self._picture_HWC = upright(frame, self._source, *size)

    def finish(self, end_s: float) -> NDArray[np.uint8]:  # noqa: ARG002
        assert self._picture_HWC is not None
        return self._picture_HWC

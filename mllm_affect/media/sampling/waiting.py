"""Pictures that wait to be scaled, so that those of a segment are scaled in one go.

Does: put work on pictures off until somebody asks for it, or too many wait.  Does not: scale.

Decoders that share a group of pictures keep pace with each other, and take more time after each
disturbance than it lasted: one long one is cheaper than ten short ones.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame, pictures_in

WAITING_BYTES = 14 << 20
"""At source size: seven pictures at 720p, three at 1080p.  The last of a video wait for nothing, so
that more would be no gain."""

Make = Callable[[TimedFrame], NDArray[np.uint8]]


class Waiting:
    """A frame whose picture is made when `result` is asked for, or by its queue before that."""

    def __init__(self, frame: TimedFrame, make: Make) -> None:
        self._frame: TimedFrame | None = frame
        self._make = make
        self._made_HWC: NDArray[np.uint8] | None = None

    def result(self) -> NDArray[np.uint8]:
        """Return the picture, HWC uint8 RGB; the frame is let go of."""
        if self._made_HWC is None:
            assert self._frame is not None
            self._made_HWC, self._frame = self._make(self._frame), None
        return self._made_HWC


class Queue:
    """The frames of one segment that wait: all are made where one more would be too many."""

    def __init__(self, make: Make, pixels: int) -> None:
        self._make = make
        self._most = pictures_in(WAITING_BYTES, pixels)
        self._waiting: list[Waiting] = []

    def add(self, frame: TimedFrame) -> Waiting:
        """Have a frame wait."""
        one = Waiting(frame, self._make)
        self._waiting.append(one)
        if len(self._waiting) > self._most:
            for waiting in self._waiting:
                waiting.result()
            self._waiting.clear()
        return one

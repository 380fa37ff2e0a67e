"""Other ways to choose frames of a segment than a uniform rate, each a part of a clip (see parts).

Does: a fixed count, the window of native-rate frames in which most moves, a thumbnail.
Does not: decode, or replace the uniform frames that the model sees.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.parts import every_frame
from mllm_affect.media.sampling import (
    SAME_TIME_S,
    SegmentFrames,
    model_size,
    sample_count,
    to_model_picture,
    upright,
)
from mllm_affect.media.types import Sampling, Source

Chosen = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""frames_THWC and times_T, as in Clip."""

GRID = 25.0
"""Times a second at which a fixed count may choose: the segment's end is not known before."""

SMALL = (64, 36)
"""Width and height of the grey pictures that show motion."""


@dataclass(frozen=True)
class FixedCount:
    """`count` frames over the segment, however long it is: each from the middle of its share.

    Frame k is on show at grid point floor((k + 1/2) n / count) of the n that the segment holds.
    Raises UserError `bad_sampling` for a count below one.
    """

    count: int = 8
    max_pixels: int = 448 * 256

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError("bad_sampling", f"count is {self.count}; give at least 1.")

    def points(self, duration_s: float) -> NDArray[np.int64]:
        """Return the grid points of a segment."""
        held = sample_count(duration_s, GRID)
        return ((np.arange(self.count) + 0.5) * held / self.count).astype(np.int64)

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
        """Say which frames are on show at these points."""
        due = times_N[0] + self.points(end_s - times_N[0]) / GRID
        needed_N = np.zeros(len(times_N), dtype=np.bool_)
        needed_N[np.maximum(np.searchsorted(times_N - SAME_TIME_S, due, "right") - 1, 0)] = True
        return needed_N

    def begin(self, source: Source, start_s: float) -> "_Counted":
        """Return the collector of one segment."""
        return _Counted(self, source, start_s)


class _Counted:
    def __init__(self, policy: FixedCount, source: Source, start_s: float) -> None:
        self._policy, self._start_s = policy, start_s
        self._on_grid = SegmentFrames(start_s, source, Sampling(GRID, policy.max_pixels))

    def see(self, frame: TimedFrame) -> None:
        self._on_grid.see(frame)

    def finish(self, end_s: float) -> Chosen:
        frames_THWC, times_T = self._on_grid.finish(end_s)
        points = self._policy.points(end_s - self._start_s)
        return frames_THWC[points], times_T[points]


@dataclass(frozen=True)
class MotionPeak:
    """The window of at most `seconds` in which most moves, at native rate up to `count` frames.

    Micro-expressions last under half a second.  Motion is the mean absolute change of small grey
    pictures; its sum over the window does not depend on the rate.  Where the window holds more
    than `count` frames at the source's average rate, every n-th is kept.  The first such window
    counts.  Raises UserError `bad_sampling` for senseless settings.
    """

    count: int = 16
    seconds: float = 0.5
    max_pixels: int = 224 * 224

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 < self.seconds <= 5:
            raise UserError(
                "bad_sampling",
                f"count is {self.count} and seconds {self.seconds}; give at least 2 frames in a "
                "window of at most 5 seconds.",
            )

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:  # noqa: ARG002
        """Motion is seen at native rate only."""
        return every_frame(times_N)

    def begin(self, source: Source, start_s: float) -> "_Moving":  # noqa: ARG002
        """Return the collector of one segment."""
        return _Moving(self, source)


class _Seen(NamedTuple):
    time_s: float
    motion: float
    picture_HWC: NDArray[np.uint8] | None


class _Moving:
    """Keeps the last window and the best one so far, at model size."""

    def __init__(self, policy: MotionPeak, source: Source) -> None:
        self._policy, self._source = policy, source
        self._sampling = Sampling(max_pixels=policy.max_pixels)
        self._every = max(1, round(policy.seconds * (source.average_fps or 25.0)) // policy.count)
        self._number = 0
        self._before: NDArray[np.int16] | None = None
        self._window: deque[_Seen] = deque()
        self._moved = 0.0
        self._best: list[_Seen] = []
        self._most = -1.0

    def see(self, frame: TimedFrame) -> None:
        small_HW = (
            frame.picture.reformat(*SMALL, format="gray", interpolation="AREA")
            .to_ndarray()
            .astype(np.int16)
        )
        motion = 0.0 if self._before is None else float(np.abs(small_HW - self._before).mean())
        self._before = small_HW
        kept = self._number % self._every == 0
        picture_HWC = to_model_picture(frame, self._source, self._sampling) if kept else None
        self._number += 1
        self._window.append(_Seen(frame.time_s, motion, picture_HWC))
        self._moved += motion
        while frame.time_s - self._window[0].time_s >= self._policy.seconds - SAME_TIME_S:
            self._moved -= self._window.popleft().motion
        if self._moved > self._most + 1e-9:
            self._most, self._best = self._moved, list(self._window)

    def finish(self, end_s: float) -> Chosen:  # noqa: ARG002
        kept = [(one.picture_HWC, one.time_s) for one in self._best if one.picture_HWC is not None]
        kept = kept[-self._policy.count :]
        kept += kept[-1:] * (len(kept) % 2)
        frames_THWC = np.stack([picture_HWC for picture_HWC, _ in kept])
        return frames_THWC, np.array([time_s for _, time_s in kept], dtype=np.float64)


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

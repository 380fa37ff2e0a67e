"""The frames of a segment that the model sees: the one place where they are chosen.

Does: follow a sampling's policy while frames come, as a part of a clip (see parts).
Does not: decode, or know files.

Every policy looks at the segment on a grid of times, start + (k + phase) / rate; the frame on show
there is the last whose timestamp is not later, whatever rate the video has.  Policies differ in how
fine their grid is and in what they keep of it.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.decoding.scaling import scaled
from mllm_affect.media.sampling.face_pictures import Shown, pictures_of, prepare_faces
from mllm_affect.media.sampling.policy import (
    SAME_TIME_S,
    FixedCount,
    MotionPeak,
    sample_count,
)
from mllm_affect.media.types import Sampling, Source

SMALL = (64, 36)
"""Width and height of the grey pictures that show motion."""
SMALL_FACE = (48, 48)
"""The same where only the face is shown."""

AS_MUCH = 1e-9
"""Windows whose motion differs by less have the same; the first of them counts."""


class Look(NamedTuple):
    """What is on show at a point of the grid, and its timestamp in seconds."""

    shown: Shown
    time_s: float


class _Kept(Protocol):
    """What a policy keeps of the looks at a segment."""

    def add(self, frame: TimedFrame, look: Look, count: int) -> None:
        """Take what is on show at the next `count` points of the grid."""

    def chosen(self, duration_s: float) -> list[Look]:
        """Return the model's frames, at least one, once the segment has ended."""


@dataclass(frozen=True)
class ModelFrames:
    """The part of a clip that the model sees: frames_THWC and times_T, as in Clip."""

    sampling: Sampling

    @property
    def rate(self) -> float:
        """Points of the grid a second."""
        return self.sampling.policy.looks_per_second(self.sampling.fps)

    def prepare(self) -> None:
        """Load what finds faces, where the policy asks for them."""
        if self.sampling.face_only:
            prepare_faces()

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
        """Say which frames are on show at one of the points that matter."""
        start_s, shown = float(times_N[0]), times_N - SAME_TIME_S
        policy = self.sampling.policy
        if isinstance(policy, FixedCount):
            points = policy.points(end_s - start_s)
        else:
            held = sample_count(end_s - start_s, self.rate, policy.phase)
            seen = math.ceil((shown[-1] - start_s) * self.rate - policy.phase)
            points = np.arange(max(held, seen))
        due = start_s + (points + policy.phase) / self.rate
        needed_N = np.zeros(len(times_N), dtype=np.bool_)
        needed_N[np.maximum(np.searchsorted(shown, due, side="right") - 1, 0)] = True
        return needed_N

    def begin(self, source: Source, start_s: float) -> "SegmentFrames":
        """Return the collector of one segment."""
        return SegmentFrames(start_s, source, self)


class SegmentFrames:
    """Collects one segment's frames; each is scaled once however often it is on show.

    The end of the segment need not be known before `finish`.
    """

    def __init__(self, start_s: float, source: Source, part: ModelFrames) -> None:
        self._start_s, self._pictures = start_s, pictures_of(source, part.sampling)
        self._rate, self._phase = part.rate, part.sampling.policy.phase
        self._kept = _kept(part.sampling)
        self._taken = 0
        self._showing: TimedFrame | None = None

    def see(self, frame: TimedFrame) -> None:
        """Take the next frame of this segment."""
        due = 0
        while self._time_s(self._taken + due) < frame.time_s - SAME_TIME_S:
            due += 1
        self._take(due)
        self._showing = frame

    def finish(self, end_s: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return frames_THWC (T even, at least 2) and times_T of the segment that ends there."""
        duration_s = end_s - self._start_s
        self._take(sample_count(duration_s, self._rate, self._phase) - self._taken)
        looks = self._kept.chosen(duration_s)
        looks += looks[-1:] * (len(looks) % 2)
        frames_THWC = np.stack([look.shown.result() for look in looks])
        return frames_THWC, np.array([look.time_s for look in looks], dtype=np.float64)

    def _time_s(self, point: int) -> float:
        return self._start_s + (point + self._phase) / self._rate

    def _take(self, count: int) -> None:
        if self._showing is None or count <= 0:
            return
        shown = self._pictures.show(self._showing)
        self._kept.add(self._showing, Look(shown, self._showing.time_s), count)
        self._taken += count


def _kept(sampling: Sampling) -> _Kept:
    if isinstance(sampling.policy, MotionPeak):
        return _MostMoving(sampling.policy)
    return _All(sampling.policy if isinstance(sampling.policy, FixedCount) else None)


class _All:
    """Keeps every look, and chooses of them where there is a fixed count."""

    def __init__(self, policy: FixedCount | None) -> None:
        self._policy = policy
        self._looks: list[Look] = []

    def add(self, _frame: TimedFrame, look: Look, count: int) -> None:
        self._looks += [look] * count

    def chosen(self, duration_s: float) -> list[Look]:
        if self._policy is None:
            return self._looks
        return [self._looks[point] for point in self._policy.points(duration_s).tolist()]


class _MostMoving:
    """Keeps the last window of looks and the best one so far.

    Motion is the change of small grey pictures from one look to the next, that of the picture as a
    whole taken off (flickering light).  It is weighed by a window that is highest in its middle, so
    that the peak comes to lie there.
    """

    def __init__(self, policy: MotionPeak) -> None:
        self._face = policy.align == "face"
        self._weights_T = np.sin(np.pi * (np.arange(1, policy.count) / policy.count))
        self._window: deque[Look] = deque(maxlen=policy.count)
        self._moved: deque[float] = deque(maxlen=policy.count - 1)
        self._before_HW: NDArray[np.float32] | None = None
        self._best: list[Look] = []
        self._most = -1.0

    def add(self, frame: TimedFrame, look: Look, count: int) -> None:
        small_HW = self._small(frame, look)
        if self._before_HW is not None:
            change_HW = small_HW - self._before_HW
            self._moved.append(float(np.abs(change_HW - change_HW.mean()).mean()))
        self._before_HW = small_HW
        self._push(look)
        for _ in range(count - 1):
            self._moved.append(0.0)
            self._push(look)

    def _small(self, frame: TimedFrame, look: Look) -> NDArray[np.float32]:
        """Return the small grey picture: of the face where only that is shown."""
        if self._face:
            import cv2

            grey_HW = cv2.cvtColor(look.shown.result(), cv2.COLOR_RGB2GRAY)
            small_HW = cv2.resize(grey_HW, SMALL_FACE, interpolation=cv2.INTER_AREA)
            return np.asarray(small_HW, dtype=np.float32)
        return scaled(frame.picture, *SMALL, "gray").to_ndarray().astype(np.float32)

    def _push(self, look: Look) -> None:
        self._window.append(look)
        if len(self._window) < self._window.maxlen:  # type: ignore[operator]
            return
        moved = float(self._weights_T @ np.array(self._moved))
        if moved > self._most + AS_MUCH:
            self._most, self._best = moved, list(self._window)

    def chosen(self, _duration_s: float) -> list[Look]:
        return self._best or list(self._window)

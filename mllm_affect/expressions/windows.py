"""Overlapping windows over a long video, each a clip that the model can be asked about.

Does: turn the clips of blind segments, read once and in order, into windows that overlap.
Does not: decode, or keep more frames than one window holds.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.sampling.policy import sample_count
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.tasks.family import Scan


class _Shown(NamedTuple):
    """A sampled frame: when it is due, the source frame's own time, the picture."""

    due_s: float
    time_s: float
    picture_HWC: NDArray[np.uint8]


def scanned(scan: Scan, sampling: Sampling) -> Sampling:
    """Return how a long video is read so that windows can be made of it."""
    return Sampling(fps=scan.rate, max_pixels=sampling.max_pixels)


def overlapping(clips: Iterable[Clip], scan: Scan, sampling: Sampling) -> Iterator[Clip]:
    """Yield windows of `scan.window_s` every `scan.hop_s`, in order, without sound.

    `clips`: of consecutive segments, read as `scanned` says; `sampling`: how the model is shown
    them.  Lengths are whole frames, the window's an even count.  The last window ends with the
    video; a video shorter than a window is one window.
    """
    size, hop = frames_of(scan)
    held: deque[_Shown] = deque(maxlen=size)
    source, seen, given, covered = "", 0, 0, 0
    for clip in clips:
        source = clip.segment.source_sha256
        for shown in _shown(clip, scan.rate):
            held.append(shown)
            seen += 1
            if seen >= size and (seen - size) % hop == 0:
                yield _window(held, source, given, scan, sampling)
                given, covered = given + 1, seen
    if seen > covered:
        yield _window(held, source, given, scan, sampling)


def frames_of(scan: Scan) -> tuple[int, int]:
    """Return how many frames a window holds, an even number, and how many it moves on."""
    return 2 * max(1, round(scan.window_s * scan.rate / 2)), max(1, round(scan.hop_s * scan.rate))


def _shown(clip: Clip, rate: float) -> Iterator[_Shown]:
    """Yield the frames of a clip but for the one that only makes their number even."""
    count = min(len(clip.times_T), sample_count(clip.segment.duration_s, rate))
    for place in range(count):
        due_s = clip.segment.start_s + place / rate
        yield _Shown(due_s, float(clip.times_T[place]), clip.frames_THWC[place])


def _window(
    held: Iterable[_Shown], source: str, index: int, scan: Scan, sampling: Sampling
) -> Clip:
    frames = list(held)
    count = len(frames)
    segment = Segment(
        source_sha256=source,
        index=index,
        start_s=frames[0].due_s,
        end_s=frames[-1].due_s + 1.0 / scan.rate,
        first_frame=0,
        num_frames=count,
        has_audio=False,
    )
    frames += frames[-1:] * (count % 2)
    return Clip(
        segment=segment,
        sampling=sampling,
        frames_THWC=np.stack([item.picture_HWC for item in frames]),
        times_T=np.array([item.time_s for item in frames], dtype=np.float64),
        audio_S=None,
    )

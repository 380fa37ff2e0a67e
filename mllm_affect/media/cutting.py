"""The rule by which frames fall into segments, one frame at a time.

Does: decide, when a frame's end is known, whether it still fits the open segment; the same for
whoever cuts only and whoever reads.  Does not: look at content.  See docs/design/0003.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mllm_affect.errors import UserError
from mllm_affect.media.frames import FrameClock, TimedFrame
from mllm_affect.media.guard import guarded
from mllm_affect.media.opening import main_audio, main_video
from mllm_affect.media.types import Segment, Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

MAX_SECONDS = 5.0
SEGMENTER = "greedy-1"
"""Name and version of the rule, recorded beside every result."""

Hear = Callable[["Packet[Any]"], None]
"""Takes every audio packet in the file's order."""


@dataclass(frozen=True)
class Placed:
    """A frame in its segment, both in ticks: where that begins, where this frame ends.

    `end_ticks` is never beyond the bound, also for a frame that alone lasts longer.
    """

    frame: TimedFrame
    start_ticks: int
    end_ticks: int

    @property
    def start_s(self) -> float:
        """Where its segment begins, in seconds."""
        return float(self.start_ticks * self.frame.time_base)

    @property
    def end_s(self) -> float:
        """Where this frame ends, in seconds."""
        return float(self.end_ticks * self.frame.time_base)


class GreedyCutter:
    """Gives every frame to the open segment while its end is at most `bound` ticks from the start.

    A frame ends where its successor begins, so each is placed when the next one is seen, and the
    last by `finish`.  A frame that alone exceeds the bound makes a segment of its own.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._pending: TimedFrame | None = None
        self._start_ticks: int | None = None
        self._first_ticks = 0
        self._count = 0

    def see(self, frame: TimedFrame) -> Placed | None:
        """Take the next frame; return its predecessor in its place, None for the first."""
        before, self._pending = self._pending, frame
        self._count += 1
        if before is None:
            self._first_ticks = frame.ticks
            return None
        return self._place(before, frame.ticks)

    def finish(self, usual_ticks: int) -> Placed | None:
        """Return the last frame in its place, None if there was no frame.

        It lasts as long as the file says, else the mean of the others, else `usual_ticks`.
        """
        last, self._pending = self._pending, None
        if last is None:
            return None
        length = last.own_ticks
        if length <= 0 and self._count > 1:
            length = max(1, round((last.ticks - self._first_ticks) / (self._count - 1)))
        return self._place(last, last.ticks + (length if length > 0 else usual_ticks))

    def _place(self, frame: TimedFrame, end_ticks: int) -> Placed:
        if self._start_ticks is None or end_ticks - self._start_ticks > self._bound:
            self._start_ticks = frame.ticks
        return Placed(frame, self._start_ticks, min(end_ticks, self._start_ticks + self._bound))


def placed_frames(
    container: "InputContainer", source: Source, max_seconds: float, hear: Hear
) -> Iterator[Placed]:
    """Decode a source once; yield every frame in its place and hand audio packets to `hear`.

    Raises UserError `bad_max_seconds`, `no_video`, `no_frames`.
    """
    cutter: GreedyCutter | None = None
    for frame in decoded_frames(container, source, hear):
        if cutter is None:
            cutter = GreedyCutter(bound_ticks(max_seconds, frame.time_base))
            usual = max(1, round(1 / Fraction(source.average_fps or 25.0) / frame.time_base))
        placed = cutter.see(frame)
        if placed is not None:
            yield placed
    last = cutter.finish(usual) if cutter is not None else None
    if last is None:
        raise UserError("no_frames", f"{source.path.name} has a video track without any frame.")
    yield last


def grown(segment: Segment | None, placed: Placed, source: Source) -> Segment:
    """Return the segment with one more frame, or the one after it that this frame begins.

    Whether it has audio is not known here: False.
    """
    if segment is None or placed.start_s > segment.start_s:
        index = 0 if segment is None else segment.index + 1
        first, start_s = placed.frame.index, placed.start_s
        return Segment(source.sha256, index, start_s, placed.end_s, first, 1, has_audio=False)
    return replace(segment, end_s=placed.end_s, num_frames=segment.num_frames + 1)


def decoded_frames(container: "InputContainer", source: Source, hear: Hear) -> Iterator[TimedFrame]:
    """Decode a source once; yield every frame and hand audio packets to `hear` on the way.

    Raises UserError `no_video`, or as the guard does.
    """
    video, audio = main_video(container), main_audio(container)
    if video is None:
        raise UserError("no_video", f"{source.path.name} holds no video track.")
    clock = FrameClock(video)
    packets = container.demux([video, audio] if audio else [video])
    for packet in guarded(packets, video, source.path.name):
        if packet.stream is video:
            yield from clock.decode(packet)
        else:
            hear(packet)


def bound_ticks(max_seconds: float, time_base: Fraction) -> int:
    """Return the bound in whole ticks.  Raises UserError `bad_max_seconds`."""
    if not 0.1 <= max_seconds <= 60.0:
        raise UserError(
            "bad_max_seconds",
            f"--max-seconds is {max_seconds}; give a number of seconds from 0.1 to 60.",
        )
    return int(Fraction(str(max_seconds)) / time_base)

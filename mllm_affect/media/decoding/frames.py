"""Decoding the frames of a video in order, each with a place on the video's own timeline.

Does: decode packets, skip broken ones, repair missing or backward timestamps.
Does not: scale, sample or cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from mllm_affect.media.warnings import Warnings, warn

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PIXEL_BYTES = 2.0
"""A little more than decoded pictures take: most 1.5, with eight bits and halved colour; with ten
bits 3."""


def pictures_in(size: int, pixels: int) -> int:
    """Return how many decoded pictures of so many pixels fit into `size` bytes, near enough."""
    return int(size / (max(1, pixels) * PIXEL_BYTES))


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame: `index` in presentation order, `ticks` in the stream's time base.

    `own_ticks` is the duration that the file states, 0 when it states none; `time_base` is
    seconds a tick.  `warnings`: what was done to it, or to what should have come before it.
    """

    time_base: Fraction
    index: int
    ticks: int
    own_ticks: int
    picture: "VideoFrame"
    warnings: Warnings = ()

    @property
    def time_s(self) -> float:
        """When it comes on show, in seconds."""
        return self.ticks * self.time_base.numerator / self.time_base.denominator

    def shown_from(self, start_s: float) -> "TimedFrame":
        """Return it as it comes on show in a segment that begins there, earlier or later."""
        if self.time_s == start_s:
            return self
        return replace(self, ticks=round(start_s / self.time_base))


class FrameClock:
    """Decodes one video stream packet by packet and gives every frame a strictly later tick.

    A frame without a timestamp, or with one that is not later than its predecessor's, is placed
    one tick after it: it keeps its order and takes (almost) no time.
    """

    def __init__(self, stream: "VideoStream") -> None:
        stream.thread_type = "AUTO"
        self._stream = stream
        self._time_base = Fraction(stream.time_base or Fraction(1, 1_000_000))
        self._index = 0
        self._ticks: int | None = None
        self._lost = False

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick."""
        return self._time_base

    def decode(self, packet: "Packet[Any]") -> Iterator[TimedFrame]:
        """Yield the frames that this packet completes.

        One that cannot be decoded is skipped, and the next one says so.
        """
        try:
            pictures = self._stream.decode(packet)
        except av.FFmpegError:
            self._lost = self._lost or bool(packet.size)
            return
        for picture in pictures:
            yield self._place(picture)

    def _place(self, picture: "VideoFrame") -> TimedFrame:
        ticks = picture.pts
        if self._ticks is None:
            ticks = 0 if ticks is None else ticks
        elif ticks is None or ticks <= self._ticks:
            ticks = self._ticks + 1
        warnings: Warnings = ()
        if self._lost or picture.is_corrupt:
            warnings += (warn("pictures_damaged"),)
        if ticks != picture.pts:
            warnings += (warn("picture_times_repaired"),)
        placed = TimedFrame(
            self._time_base, self._index, ticks, int(picture.duration or 0), picture, warnings
        )
        self._ticks, self._lost = ticks, False
        self._index += 1
        return placed

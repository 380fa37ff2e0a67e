"""One opening of a file for two who take its packets at their own pace: pictures and sound.

Does: tell from all packets of a file whether the two lie so close together that little has to wait;
hand both out, each in a thread of its own if need be, keeping what the other has not taken yet.
Does not: decode, or open.

An opening of an MP4 holds its whole index, 50 bytes a packet: an hour in two openings shows.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING, Any

import av
from av.stream import Discard

from mllm_affect.media.sound_overhang import TimeExtent

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

BACK_S = 0.5
"""A packet of sound this far before the latest one counts time anew."""
APART_SECONDS = 2.0
KEPT_BYTES = 8 << 20
"""Of pictures in a row, and of sound a minute, the longest that a segment lasts."""


class Nearness:
    """Takes every packet in the file's order; knows at the end whether one opening is enough.

    It is where no picture lies more than APART_SECONDS beside the sound around it, and neither the
    pictures between two pieces of sound nor a minute of sound are more than KEPT_BYTES.
    """

    def __init__(self, video: "VideoStream", audio: "AudioStream | None") -> None:
        self._video, self._silent = video, audio is None
        self._seconds = {one.index: clock(one) for one in (video, audio) if one is not None}
        self._apart = False
        self._between = self._sound_bytes = 0
        self._shown_s = self._first_s = self._heard_s = 0.0
        self._last: Packet[Any] | None = None
        self.counts_anew = False

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next packet."""
        ticks, size = packet.dts if packet.pts is None else packet.pts, packet.size
        if ticks is None or self._silent or not size:
            return
        stream = packet.stream
        now_s = self._seconds[stream.index](ticks)
        if stream is self._video:
            self._between += size
            self._apart |= self._between > KEPT_BYTES
            self._shown_s = now_s
            return
        self.counts_anew |= now_s < self._heard_s - BACK_S and self._last is not None
        self._between, self._heard_s, self._last = 0, now_s, packet
        self._first_s = self._first_s if self._sound_bytes else self._heard_s
        self._sound_bytes += size
        self._apart |= abs(self._heard_s - self._shown_s) > APART_SECONDS

    @property
    def near(self) -> bool:
        """Whether little would wait; True where there is no sound."""
        minutes = max(self._heard_s - self._first_s, 1.0) / 60
        return not self._apart and self._sound_bytes <= KEPT_BYTES * minutes

    @property
    def heard(self) -> TimeExtent | None:
        """Where sound is stated, None where there is none."""
        last = self._last
        if last is None or last.time_base is None:
            return None
        return TimeExtent(
            self._first_s, self._heard_s + float((last.duration or 0) * last.time_base)
        )


class Interleaved:
    """The packets of one opening, by stream; other streams are not read."""

    def __init__(
        self, container: "InputContainer", streams: "Sequence[VideoStream | AudioStream]"
    ) -> None:
        for stream in container.streams:
            if stream not in streams:
                stream.discard = Discard.all
        self._waiting: dict[int, deque[Packet[Any]]] = {one.index: deque() for one in streams}
        self._packets = until_it_breaks(container.demux(list(streams)), streams)
        self._lock = Lock()

    def of(self, stream: "VideoStream | AudioStream") -> "Iterator[Packet[Any]]":
        """Yield one stream's packets, the last of them empty."""
        while (packet := self._next_of(stream.index)) is not None:
            yield packet

    def _next_of(self, index: int) -> "Packet[Any] | None":
        with self._lock:
            while not self._waiting[index]:
                packet = next(self._packets, None)
                if packet is None:
                    return None
                self._waiting[packet.stream.index].append(packet)
            return self._waiting[index].popleft()


def until_it_breaks(
    packets: "Iterable[Packet[Any]]", streams: "Iterable[Stream]"
) -> "Iterator[Packet[Any]]":
    """Yield packets; where the file breaks off, ask what the streams' decoders still hold."""
    try:
        yield from packets
    except (av.FFmpegError, ValueError):
        for stream in streams:
            last: Packet[Any] = av.Packet()
            last.stream = stream
            yield last


def clock(stream: "Stream") -> Callable[[int], float]:
    """Return what turns a stream's ticks into seconds, rounded once as a Fraction would be."""
    base = stream.time_base or Fraction(1, 1_000_000)
    over, under = base.numerator, base.denominator
    return lambda ticks: ticks * over / under

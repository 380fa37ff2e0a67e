"""Holding a file to the limits while it is read, whatever its headers said.

Does: watch packets before they are decoded: how many, how dense, how far.  Does not: decode.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mllm_affect.media.decoding.interleaved import clock, until_it_breaks
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.refusals import MediaError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

WINDOW_SECONDS = 5.0
"""A rate is judged over this time, so that a burst is no reason to refuse."""

SLACK = 0.9
"""Timestamps are rounded by containers: this part of the window is enough."""

PIECES_PER_SECOND = 2_000
"""Packets of sound; the shortest of any codec last 2.5 ms."""


class Density:
    """Whether more than `rate` packets a second come over a whole window."""

    def __init__(self, rate: float) -> None:
        self._times: deque[float] = deque(maxlen=round(rate * WINDOW_SECONDS) + 1)

    def exceeded(self, time_s: float) -> bool:
        """Take the next packet's time in seconds; return whether they are too many."""
        times = self._times
        times.append(time_s)
        return len(times) == times.maxlen and time_s - times[0] < WINDOW_SECONDS * SLACK


def guarded(
    packets: "Iterable[Packet[Any]]",
    video: "VideoStream",
    name: str,
    limits: Limits = DEFAULT_LIMITS,
) -> "Iterator[Packet[Any]]":
    """Yield the packets of one video and its sound as long as they keep to the limits.

    Where the file breaks off, what the decoder still holds is asked for.
    Raises UserError `video_too_long`, `frame_rate_too_high`, `audio_too_long`.
    """
    frames, first_s, video_s, sound_s = 0, None, None, 0.0
    pictures, pieces = Density(limits.frames_per_second), Density(PIECES_PER_SECOND)
    video_seconds, sound_seconds = clock(video), None
    for packet in until_it_breaks(packets, [video]):
        ticks = packet.pts if packet.dts is None else packet.dts
        if packet.stream is video:
            if not packet.size:
                yield packet
                continue
            frames += 1
            if ticks is not None:
                video_s = video_seconds(ticks)
            elif video_s is None:
                video_s = 0.0
            first_s = video_s if first_s is None else first_s
            if frames > limits.frames or video_s - first_s > limits.seconds:
                raise MediaError(
                    "video_too_long", name, seconds=video_s - first_s, frames=frames,
                    limit=limits.seconds, frame_limit=limits.frames,
                )  # fmt: skip
            if pictures.exceeded(video_s):
                rate = limits.frames_per_second
                raise MediaError("frame_rate_too_high", name, rate=rate + 1, limit=rate)
        elif packet.size:
            sound_seconds = sound_seconds or clock(packet.stream)
            sound_s = sound_s if ticks is None else sound_seconds(ticks)
            beyond_s = sound_s - (sound_s if video_s is None else video_s)
            if beyond_s > limits.sound_beyond_seconds or pieces.exceeded(sound_s):
                raise MediaError("audio_too_long", name, limit=limits.sound_beyond_seconds)
        yield packet

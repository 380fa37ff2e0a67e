"""Which of a file's streams are read: the one place that chooses them.

Does: rank video streams (real ones first, then the default, the largest, the longest) and sound
streams (those that decode, that are not silent, the default); look at packets only where a file
holds several.  Does not: refuse codecs (see opening).

Cover pictures are never read.  A video stream is real where it has several frames and is no strip
of thumbnails.  A sound stream counts as silent where nothing but zeros comes for HEARD_PACKETS.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from mllm_affect.media.decoding.interleaved import clock, until_it_breaks
from mllm_affect.media.limits import AUDIO_CODECS, PCM_CODECS, VIDEO_CODECS
from mllm_affect.media.source import FIRST, Chosen
from mllm_affect.media.warnings import MediaWarning, Warnings, warn

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Streams with one of these are pictures beside a video."""

SEEN_PACKETS = 2_000
"""Packets that are looked at to rank video streams."""
HEARD_PACKETS = 20_000
"""Packets of one sound stream that are decoded, at most, until something is heard: some minutes."""
AUDIBLE = 2 / (1 << 15)
"""Samples above this, of 1, are no silence: coders turn zeros into a little less than one bit."""
STRIP_RATE, STRIP_RATIO = 2.0, 4.0
"""A strip has at most so many frames a second, and another stream so many times as many."""

Open = Callable[[], AbstractContextManager["InputContainer"]]


def main_video(container: "InputContainer", chosen: Chosen = FIRST) -> "VideoStream | None":
    """Return the chosen video stream of an opened file, or None."""
    if chosen.video is None:
        return None
    if chosen.video < 0:
        return next(iter(moving(container)), None)
    return next((one for one in container.streams.video if one.index == chosen.video), None)


def main_audio(container: "InputContainer", chosen: Chosen = FIRST) -> "AudioStream | None":
    """Return the chosen sound stream of an opened file, or None."""
    if chosen.audio is None:
        return None
    if chosen.audio < 0:
        return next(iter(container.streams.audio), None)
    return next((one for one in container.streams.audio if one.index == chosen.audio), None)


def moving(container: "InputContainer") -> "list[VideoStream]":
    """Return the video streams that are no pictures beside a video, in order."""
    return [one for one in container.streams.video if not one.disposition & NO_VIDEO]


def choose(container: "InputContainer", reopen: Open) -> tuple[Chosen, Warnings]:
    """Choose among an opened file's streams; `reopen` opens it once more, to look at packets.

    Where no stream of a kind can be read, the first is chosen, for opening to refuse by name.
    """
    video, of_video = _video(moving(container), reopen)
    audio, of_audio = _audio(list(container.streams.audio), reopen)
    return Chosen(video, audio), (*of_video, *of_audio)


def codec_name(stream: "VideoStream | AudioStream") -> str:
    """Return the codec's own name, whichever decoder reads it (mp3, not mp3float)."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _video(streams: "Sequence[VideoStream]", reopen: Open) -> tuple[int | None, Warnings]:
    readable = [one for one in streams if codec_name(one) in VIDEO_CODECS] or list(streams[:1])
    if not readable:
        return None, ()
    if len(readable) == 1:
        best = readable[0]
    else:
        seen = _seen([one.index for one in readable], reopen)
        fastest = max(one.rate for one in seen.values())
        best = max(readable, key=lambda one: _rank(one, seen[one.index], fastest))
    if len(streams) == 1:
        return best.index, ()
    return best.index, (_several("video_streams", streams, best, f"{best.width}x{best.height}"),)


@dataclass
class _Seen:
    """What packets tell of a video stream."""

    packets: int = 0
    begin_s: float = 0.0
    end_s: float = 0.0

    @property
    def rate(self) -> float:
        """Frames a second; 0 where there are not two."""
        span_s = self.end_s - self.begin_s
        return (self.packets - 1) / span_s if span_s > 0 else 0.0


def _seen(indices: Sequence[int], reopen: Open) -> dict[int, _Seen]:
    seen = {index: _Seen() for index in indices}
    with reopen() as container:
        streams = [one for one in container.streams.video if one.index in seen]
        seconds = {one.index: clock(one) for one in streams}
        left = SEEN_PACKETS
        for packet in until_it_breaks(container.demux(streams), streams):
            ticks = packet.dts if packet.pts is None else packet.pts
            if not packet.size or ticks is None:
                continue
            index, left = packet.stream.index, left - 1
            one, now_s = seen[index], seconds[index](ticks)
            one.begin_s = min(one.begin_s, now_s) if one.packets else now_s
            one.end_s = max(one.end_s, now_s) if one.packets else now_s
            one.packets += 1
            if not left:
                break
    return seen


def _rank(stream: "VideoStream", seen: _Seen, fastest: float) -> tuple[bool, bool, int, float, int]:
    slow = seen.rate <= STRIP_RATE and fastest >= STRIP_RATIO * seen.rate
    several = seen.packets > 1 or (not seen.packets and stream.frames > 1)
    stated_s = float((stream.duration or 0) * (stream.time_base or 0))
    return (
        several and not (seen.packets and slow),
        bool(stream.disposition & Disposition.default),
        stream.width * stream.height,
        max(stated_s, seen.end_s - seen.begin_s),
        -stream.index,
    )


def _audio(streams: "Sequence[AudioStream]", reopen: Open) -> tuple[int | None, Warnings]:
    known = [one for one in streams if codec_name(one) in AUDIO_CODECS | PCM_CODECS]
    readable = known or list(streams[:1])
    if not readable:
        return None, ()
    # max and sorted keep the first of equals first.
    readable.sort(key=lambda one: not one.disposition & Disposition.default)
    best, reason = readable[0], "the only one that can be decoded"
    if len(readable) > 1:
        best, reason = _heard(readable, reopen)
    if len(streams) == 1:
        return best.index, ()
    return best.index, (_several("audio_streams", streams, best, reason),)


def _heard(streams: "Sequence[AudioStream]", reopen: Open) -> "tuple[AudioStream, str]":
    """Return the first stream that is not silent, else the first that can be decoded."""
    silent: list[AudioStream] = []
    for stream in streams:
        heard = _is_heard(stream.index, reopen)
        if heard:
            default = stream.disposition & Disposition.default
            reason = "the default" if default else "the first that is not silent"
            return stream, reason
        if heard is not None:
            silent.append(stream)
    return (silent or list(streams))[0], "as silent as the others"


def _is_heard(index: int, reopen: Open) -> bool | None:
    """Whether a sound stream is more than silence; None where nothing of it can be decoded."""
    decoded = False
    with reopen() as container:
        (stream,) = (one for one in container.streams.audio if one.index == index)
        packets = until_it_breaks(container.demux(stream), [stream])
        for _, packet in zip(range(HEARD_PACKETS), packets, strict=False):
            try:
                frames = stream.decode(packet)
            except av.FFmpegError:
                continue
            for frame in frames:
                decoded = True
                if _loudest(frame.to_ndarray()) > AUDIBLE:
                    return True
    return False if decoded else None


def _loudest(samples: NDArray[Any]) -> float:
    """Return the greatest distance from silence, of 1, of samples in any of FFmpeg's formats."""
    if samples.dtype.kind == "f":
        return float(np.abs(samples).max(initial=0.0))
    silence = 128 if samples.dtype.kind == "u" else 0
    full = np.iinfo(samples.dtype).max - silence
    return float(np.abs(samples.astype(np.float64) - silence).max(initial=0.0)) / full


def _several(
    code: str,
    streams: "Sequence[VideoStream | AudioStream]",
    best: "VideoStream | AudioStream",
    about: str,
) -> MediaWarning:
    return warn(code, count=len(streams), index=best.index, about=about)

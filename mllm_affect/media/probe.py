"""Looking at a video file before anything else reads it.

Does: find out container, codecs, streams, duration, size, rate, rotation and start times; refuse
what is outside the limits.  Does not: decode more than the first frame, or isolate (see isolation).
"""

import math
import os
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av

from mllm_affect.files import sha256_file
from mllm_affect.media.decoding.frames import FrameClock
from mllm_affect.media.decoding.opening import allow_codecs, open_file, open_media
from mllm_affect.media.decoding.stream_choice import (
    choose,
    codec_name,
    main_audio,
    main_video,
    moving,
)
from mllm_affect.media.display import read_display
from mllm_affect.media.header_check import corrected, is_doubtful, is_indexed
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.types import Source

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MICROSECOND = Fraction(1, 1_000_000)

PACKETS_BEFORE_FRAME = 2_000
"""A video whose first frame needs more packets than this has none."""


def probe(path: Path, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Return the facts of a video file.

    Raises UserError: those of opening (`file_not_found`, `not_a_file`, `file_unreadable`,
    `empty_file`, `unsupported_container`, `unreadable_video`, `unsupported_codec`),
    `file_too_large`, `too_many_streams`, `no_video`, `frame_too_large`, `frame_rate_too_high`,
    `video_too_long`, `audio_too_large`, `bad_timestamps`, `no_frames`.
    """
    path = Path(path)
    descriptor = open_file(path)
    try:
        check_size(descriptor, path.name, limits)
    finally:
        os.close(descriptor)
    return replace(examine(path, limits), sha256=sha256_file(path))


def check_size(descriptor: int, name: str, limits: Limits) -> int:
    """Return an open file's size in bytes.  Raises UserError `file_too_large`."""
    size = os.fstat(descriptor).st_size
    if size > limits.bytes:
        raise MediaError("file_too_large", name, limit=limits.bytes >> 20)
    return size


def examine(path: Path, limits: Limits) -> Source:
    """Return what `probe` does, with an empty hash: the file's bytes are not read through."""
    with open_media(path, None) as container:
        streams = len(container.streams)
        if streams > limits.streams:
            raise MediaError("too_many_streams", path.name, streams=streams, limit=limits.streams)
        chosen, warnings = choose(container, lambda: open_media(path, None))
        stream, audio = main_video(container, chosen), main_audio(container, chosen)
        if stream is None:
            raise MediaError("no_video", path.name)
        allow_codecs(container, chosen, path)
        stated, frames = _source(container, stream, audio, path), max(0, stream.frames)
        unsure = not is_indexed(stated, stream) and _too_much(stated, limits, frames)
        if unsure or is_doubtful(stated, stream):
            stated, frames = corrected(stated)
        stated = replace(stated, warnings=(*warnings, *stated.warnings))
        check_source(stated, limits, frames)
        first = _first_frame(container, stream)
        if first is None:
            raise MediaError("no_frames", path.name)
        found = _as_shown(stated, first, stream)
        check_source(found, limits)
        return found


def _too_much(source: Source, limits: Limits, frames: int) -> bool:
    """Whether the stated length or rate is beyond the limits: then packets are to say so."""
    try:
        check_source(source, limits, frames)
    except MediaError as error:
        return error.code in ("frame_rate_too_high", "video_too_long")
    return False


def check_source(source: Source, limits: Limits, frames: int = 0) -> None:
    """Hold a source to the limits; `frames` is their number where the file states it.

    Raises UserError `frame_too_large`, `frame_rate_too_high`, `video_too_long`, `audio_too_large`,
    `bad_timestamps`.
    """
    name, seconds, rate = source.path.name, source.duration_s, source.average_fps
    times = (source.start_s, source.audio_start_s or 0.0, seconds, rate)
    far = next((time for time in times if not abs(time) <= limits.start_seconds), None)
    if far is not None:
        raise MediaError("bad_timestamps", name, seconds=far)
    width, height = source.width, source.height
    if width * height > limits.pixels or max(width, height) > limits.side:
        raise MediaError(
            "frame_too_large", name, width=width, height=height,
            limit=limits.pixels, side=limits.side,
        )  # fmt: skip
    rate = max(rate, frames / seconds if seconds > 1 else 0.0)
    if rate > limits.frames_per_second:
        raise MediaError("frame_rate_too_high", name, rate=rate, limit=limits.frames_per_second)
    frames = max(frames, math.floor(seconds * source.average_fps))
    if seconds > limits.seconds or frames > limits.frames:
        raise MediaError(
            "video_too_long", name, seconds=seconds, frames=frames,
            limit=limits.seconds, frame_limit=limits.frames,
        )  # fmt: skip
    channels, hertz = source.audio_channels, source.audio_rate
    if channels * hertz > limits.samples_per_second:
        raise MediaError(
            "audio_too_large", name, channels=channels, rate=hertz, limit=limits.samples_per_second
        )


def _source(
    container: "InputContainer", stream: "VideoStream", audio: "AudioStream | None", path: Path
) -> Source:
    """Return what the headers state; whatever they leave out is 0."""
    audio_ticks = audio.start_time if audio else None
    return Source(
        path=path,
        sha256="",
        container=container.format.name.split(",")[0],
        video_codec=codec_name(stream),
        audio_codec=codec_name(audio) if audio else None,
        start_s=float((stream.start_time or 0) * (stream.time_base or MICROSECOND)),
        duration_s=_duration_s(container, stream),
        width=stream.width,
        height=stream.height,
        rotation=0,
        average_fps=float(stream.average_rate or 0),
        size_bytes=max(0, container.size),
        streams=len(container.streams),
        container_start_s=float((container.start_time or 0) * MICROSECOND),
        audio_start_s=(
            None
            if audio is None or audio_ticks is None
            else float(audio_ticks * (audio.time_base or MICROSECOND))
        ),
        audio_rate=audio.rate or 0 if audio else 0,
        audio_channels=audio.channels or 0 if audio else 0,
        video_stream=stream.index,
        video_streams=len(moving(container)),
        audio_stream=audio.index if audio else None,
    )


def _as_shown(stated: Source, first: "VideoFrame", stream: "VideoStream") -> Source:
    """Correct what the headers state by the first frame."""
    display = read_display(first, stream)
    return replace(
        stated,
        width=display.width,
        height=display.height,
        rotation=display.rotation,
        mirrored=display.mirrored,
        pixel_aspect=display.pixel_aspect,
        hdr=display.hdr,
        warnings=(*stated.warnings, *display.warnings),
        start_s=float((first.pts or 0) * (stream.time_base or MICROSECOND)),
    )


def _duration_s(container: "InputContainer", stream: "VideoStream") -> float:
    """Return the stated duration of the pictures, else of the file; 0 where there is none."""
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    return max(0.0, float((container.duration or 0) * MICROSECOND))


def _first_frame(container: "InputContainer", stream: "VideoStream") -> "VideoFrame | None":
    clock = FrameClock(stream)
    with suppress(av.FFmpegError):
        for packet in islice(container.demux(stream), PACKETS_BEFORE_FRAME):
            for frame in clock.decode(packet):
                return frame.picture
    return None

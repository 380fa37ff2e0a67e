"""Looking at a video file before anything else reads it.

Does: find out container, codecs, duration, size, rate, rotation and start; refuse what is outside
the limits, each refusal with a stable code.  Does not: decode more than the first frame.
"""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file
from mllm_affect.media.frames import FrameClock
from mllm_affect.media.limits import AUDIO_CODECS, DEFAULT_LIMITS, VIDEO_CODECS, Limits
from mllm_affect.media.opening import main_audio, main_video, open_media
from mllm_affect.media.types import Source

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MICROSECOND = Fraction(1, 1_000_000)


def probe(path: Path, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Return the facts of a video file.

    Raises UserError: `file_not_found`, `not_a_file`, `empty_file`, `file_too_large`,
    `unsupported_container`, `unreadable_video`, `too_many_streams`, `no_video`,
    `unsupported_codec`, `frame_too_large`, `frame_rate_too_high`, `video_too_long`, `no_frames`.
    """
    path = Path(path)
    _refuse(
        path.is_file() and path.stat().st_size > limits.bytes,
        "file_too_large",
        f"{path.name} is larger than {limits.bytes >> 20} MiB; cut or compress it.",
    )
    with open_media(path) as container:
        stream = _accepted_video(container, path, limits)
        audio = main_audio(container)
        audio_codec = _accepted_audio_codec(codec_name(audio), path) if audio else None
        first = _first_frame(container, stream)
        if first is None:
            raise UserError("no_frames", f"{path.name} has a video track without any frame.")
        rotation = int(first.rotation) % 360
        turned = rotation in (90, 270)
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        return Source(
            path=path,
            sha256=sha256_file(path),
            container=container.format.name.split(",")[0],
            video_codec=codec_name(stream),
            audio_codec=audio_codec,
            start_s=float((first.pts or 0) * (stream.time_base or MICROSECOND)),
            duration_s=_duration_s(container, stream),
            width=width,
            height=height,
            rotation=rotation,
            average_fps=float(stream.average_rate or 0),
            size_bytes=path.stat().st_size,
        )


def _refuse(condition: bool, code: str, sentence: str) -> None:
    if condition:
        raise UserError(code, sentence)


def _accepted_video(container: "InputContainer", path: Path, limits: Limits) -> "VideoStream":
    _refuse(
        len(container.streams) > limits.streams,
        "too_many_streams",
        f"{path.name} holds {len(container.streams)} streams; at most {limits.streams} are read.",
    )
    stream = main_video(container)
    if stream is None:
        raise UserError("no_video", f"{path.name} holds no video track; give a video.")
    codec = codec_name(stream)
    _refuse(
        codec not in VIDEO_CODECS,
        "unsupported_codec",
        f"{path.name} is coded as {codec}; accepted are {', '.join(sorted(VIDEO_CODECS))}.",
    )
    _refuse(
        stream.width * stream.height > limits.pixels,
        "frame_too_large",
        f"{path.name} is {stream.width}x{stream.height}; at most {limits.pixels} pixels are read.",
    )
    rate = float(stream.average_rate or 0)
    _refuse(
        rate > limits.frames_per_second,
        "frame_rate_too_high",
        f"{path.name} states {rate:.0f} frames a second; at most "
        f"{limits.frames_per_second:.0f} are read.",
    )
    seconds = _duration_s(container, stream)
    _refuse(
        seconds > limits.seconds or seconds * rate > limits.frames,
        "video_too_long",
        f"{path.name} states {seconds:.0f} s; at most {limits.seconds:.0f} s and "
        f"{limits.frames} frames are read.",
    )
    return stream


def codec_name(stream: "VideoStream | AudioStream") -> str:
    """Return the codec's own name, whichever decoder reads it (mp3, not mp3float)."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _accepted_audio_codec(codec: str, path: Path) -> str:
    _refuse(
        codec not in AUDIO_CODECS and not codec.startswith("pcm_"),
        "unsupported_codec",
        f"{path.name} has audio coded as {codec}, which is not read; convert it to AAC.",
    )
    return codec


def _duration_s(container: "InputContainer", stream: "VideoStream") -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) * MICROSECOND)


def _first_frame(container: "InputContainer", stream: "VideoStream") -> "VideoFrame | None":
    clock = FrameClock(stream)
    for packet in container.demux(stream):
        for frame in clock.decode(packet):
            return frame.picture
    return None

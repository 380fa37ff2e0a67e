"""What kinds and sizes of video are accepted.

Does: state the whitelists and limits, one documented config.  Does not: check anything; see probe
(before decoding), guard (while reading) and isolation (time and memory).
docs/media-limits.md lists them, written from here.
"""

from dataclasses import dataclass, field
from typing import Any

CONTAINERS = {"mov": "MP4/MOV", "matroska": "Matroska/WebM", "avi": "AVI"}
"""Demuxers that may open a file, by FFmpeg's name; none of them follows references by default."""

FORMATS = (*CONTAINERS, "mp4", "webm")
"""All their names in FFmpeg's whitelists."""

VIDEO_CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores", "ffv1", "png", "rawvideo"}
)
AUDIO_CODECS = frozenset(
    {"aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "alac", "amr_nb", "amr_wb"}
)
"""Audio that is decoded, besides the PCM kinds below; a file with any other audio is refused."""

PCM_CODECS = frozenset(
    f"pcm_{kind}"
    for kind in (
        "alaw", "mulaw", "u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be",
        "f32le", "f32be", "f64le", "f64be", "s16le_planar", "s16be_planar",
    )
)  # fmt: skip

OTHER_DECODER_NAMES = frozenset(
    {"libdav1d", "libvpx", "libvpx-vp9", "libopus", "mp3float", "amrnb", "amrwb"}
    | {"libopencore_amrnb", "libopencore_amrwb"}
)
"""FFmpeg's names of decoders that are not called like their codec."""

DECODERS = VIDEO_CODECS | AUDIO_CODECS | PCM_CODECS | OTHER_DECODER_NAMES
"""Decoders that FFmpeg may start at all, also while it only looks at the streams."""


def _bound(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Limits:
    """Bounds on one file; what its headers say is checked before anything is decoded."""

    bytes: int = _bound(4 << 30, "size of the file in bytes")
    seconds: float = _bound(4 * 3600.0, "duration, stated or real")
    pixels: int = _bound(8192 * 4320, "width times height")
    side: int = _bound(8192, "width or height in pixels")
    frames_per_second: float = _bound(1000.0, "frame rate, stated or real")
    frames: int = _bound(864_000, "number of video frames, stated or real")
    streams: int = _bound(16, "streams of any kind")
    samples_per_second: int = _bound(8 * 192_000, "audio channels times sample rate")
    sound_beyond_seconds: float = _bound(300.0, "sound that runs on without a picture")
    start_seconds: float = _bound(1e10, "distance of the first timestamp from zero")
    full_sandbox: bool = _bound(
        False, "whether every sandbox layer must confine the decoding process"
    )


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ChildLimits:
    """Bounds on the process that decodes one file; see isolation."""

    memory_bytes: int = _bound(3 << 30, "address space")
    probe_seconds: float = _bound(20.0, "wall time of looking at the headers")
    clip_seconds: float = _bound(60.0, "wall time to the next clip")
    cpu_seconds: int = _bound(120, "processor time, whatever the video's length")
    cpu_seconds_per_second: float = _bound(20.0, "further processor time per second of video")
    descriptors: int = _bound(16, "open descriptors")
    written_bytes: int = _bound(0, "bytes it may write into files")
    message_bytes: int = _bound(1 << 30, "one answer to the parent")


DEFAULT_CHILD_LIMITS = ChildLimits()


@dataclass(frozen=True)
class ProgramLimits:
    """Bounds on the ffmpeg program that writes one clip file."""

    memory_bytes: int = _bound(8 << 30, "address space")
    cpu_seconds: int = _bound(3_600, "processor time")
    descriptors: int = _bound(64, "open descriptors")
    written_bytes: int = _bound(4 << 30, "size of the clip file")


DEFAULT_PROGRAM_LIMITS = ProgramLimits()

"""What kinds and sizes of video are accepted.

Does: state the limits, one documented config.  Does not: check anything; see probe.
"""

from dataclasses import dataclass

CONTAINERS = {"mov": "MP4/MOV", "matroska": "Matroska/WebM", "avi": "AVI"}
"""Demuxers that may open a file, by FFmpeg's name; none of them follows references by default."""

VIDEO_CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores", "ffv1", "png", "rawvideo"}
)
AUDIO_CODECS = frozenset(
    {"aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "alac", "amr_nb", "amr_wb"}
)
"""Audio that is decoded, besides every PCM kind; a file with any other audio is refused."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one file; what exceeds them is refused before anything is decoded."""

    bytes: int = 4 << 30
    seconds: float = 4 * 3600.0
    pixels: int = 8192 * 4320
    frames_per_second: float = 1000.0
    frames: int = 2_000_000
    streams: int = 16


DEFAULT_LIMITS = Limits()

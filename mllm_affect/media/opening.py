"""Opening a video file without letting it open anything else.

Does: sniff the first bytes, force the matching demuxer, allow the protocol `file` alone, choose
the main streams.  Does not: judge sizes (probe does) or decode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av

from mllm_affect.errors import UserError
from mllm_affect.media.limits import CONTAINERS

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

SNIFFED_BYTES = 64
MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
ATTACHED_PICTURE = 0x0400  # AV_DISPOSITION_ATTACHED_PIC: cover art, not video


def sniff(path: Path) -> str:
    """Return FFmpeg's demuxer name for the file's first bytes.

    Raises UserError `file_not_found`, `not_a_file`, `empty_file`, `unsupported_container`.
    """
    if not path.exists():
        raise UserError("file_not_found", f"No file at {path}; check the path.")
    if not path.is_file():
        raise UserError("not_a_file", f"{path} is not a regular file; give a video file.")
    with path.open("rb") as stream:
        head = stream.read(SNIFFED_BYTES)
    if not head:
        raise UserError("empty_file", f"{path.name} is empty; give a video file.")
    if head[4:8] in MOV_BOXES:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    kinds = ", ".join(CONTAINERS.values())
    raise UserError(
        "unsupported_container",
        f"{path.name} does not begin like a video; accepted are {kinds}, whatever the name says.",
    )


@contextmanager
def open_media(path: Path) -> Iterator["InputContainer"]:
    """Open a video file for reading, and close it.

    Raises UserError as `sniff` does, or `unreadable_video` when its headers make no sense.
    """
    demuxer = sniff(path)
    only_this_file = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,webm,avi"}
    try:
        container = av.open(str(path), format=demuxer, options=only_this_file)
    except (av.FFmpegError, ValueError) as error:
        raise UserError(
            "unreadable_video",
            f"{path.name} is damaged or cut off: its headers cannot be read; export it again.",
        ) from error
    with container:
        yield container


def main_video(container: "InputContainer") -> "VideoStream | None":
    """Return the first video stream that is not a cover picture, or None."""
    for stream in container.streams.video:
        if not int(stream.disposition) & ATTACHED_PICTURE:
            return stream
    return None


def main_audio(container: "InputContainer") -> "AudioStream | None":
    """Return the first audio stream, or None."""
    return next(iter(container.streams.audio), None)

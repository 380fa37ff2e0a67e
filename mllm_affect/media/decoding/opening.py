"""Opening a video file without letting it open anything else.

Does: open regular files alone, sniff the first bytes, force the matching demuxer, allow FFmpeg only
the descriptor it is given and the codecs of the whitelist.
Does not: choose streams (see stream_choice), judge sizes (probe does) or decode.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from mllm_affect.media.decoding.stream_choice import (
    codec_name,
    main_audio,
    main_video,
)
from mllm_affect.media.limits import (
    AUDIO_CODECS,
    DECODERS,
    DEFAULT_LIMITS,
    FORMATS,
    PCM_CODECS,
    VIDEO_CODECS,
)
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.source import FIRST, Chosen

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

SNIFFED_BYTES = 64
MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
KNOWN_PIXELS = 1 << 28
"""Larger pictures are not even looked at; between this and the limit they are refused by name."""

LOOKED_AT = {"probesize": "1000000", "fpsprobesize": "16"}
"""How far FFmpeg reads to find out about streams: bytes of content, and frames to estimate a rate.
Its defaults let 10^6 tiny packets cost seconds before anything is known."""

INHERITED = re.compile(r"/dev/fd/(\d+)")
"""A path of this form is a descriptor that is open already; nothing is opened for it."""


def open_file(path: Path, follow_links: bool = True) -> int:
    """Return a descriptor for reading a regular file that is not empty; the caller closes it.

    FIFOs and devices are refused without waiting for them.  Raises UserError `file_not_found`,
    `not_a_file`, `symbolic_link` (unless followed), `file_unreadable`, `empty_file`.
    """
    inherited = INHERITED.fullmatch(str(path))
    if inherited:
        return os.dup(int(inherited[1]))
    follow = 0 if follow_links else os.O_NOFOLLOW
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
    except (OSError, ValueError) as error:
        raise _not_opened(path, error, follow_links) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MediaError("not_a_file", path.name, path=shown(path))
        if not status.st_size:
            raise MediaError("empty_file", path.name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _not_opened(path: Path, error: OSError | ValueError, follow_links: bool) -> MediaError:
    number = error.errno if isinstance(error, OSError) else errno.ENOENT  # ValueError: a NUL byte
    if number == errno.ELOOP and not follow_links:
        return MediaError("symbolic_link", shown(path))
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return MediaError("file_not_found", path.name, path=shown(path))
    if number in (errno.ENXIO, errno.ENODEV):  # a socket, or a device that is away
        return MediaError("not_a_file", path.name, path=shown(path))
    return MediaError("file_unreadable", path.name, reason=os.strerror(number or 0))


def shown(path: Path) -> str:
    """Return the path as text that can be printed anywhere."""
    return str(path).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def sniff(path: Path) -> str:
    """Return FFmpeg's demuxer name for the file's first bytes.

    Raises UserError as `open_file` does, or `unsupported_container`.
    """
    descriptor = open_file(path)
    try:
        return sniff_descriptor(descriptor, path.name)
    finally:
        os.close(descriptor)


def sniff_descriptor(descriptor: int, name: str) -> str:
    """Return the same for an open file.  Raises UserError `unsupported_container`."""
    head = os.pread(descriptor, SNIFFED_BYTES, 0)
    if head[4:8] in MOV_BOXES:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    raise MediaError("unsupported_container", name)


@contextmanager
def open_media(path: Path, chosen: Chosen | None = FIRST) -> Iterator["InputContainer"]:
    """Open a video file for reading, and close it.

    It may be open several times at once: each reads at a place of its own.  `chosen` streams must
    be coded as the whitelist says; None for whoever has still to choose (see allow_codecs).
    Raises UserError as `sniff` does, `unreadable_video` when its headers make no sense,
    `unsupported_codec` when its pictures or sound are coded otherwise than the whitelist says;
    MemoryError where the process may not have as much as the headers ask for.
    """
    descriptor = open_file(path)
    shared = INHERITED.fullmatch(str(path)) is not None
    try:
        only_this_file = {
            **({} if shared else {"fd": str(descriptor)}),
            "protocol_whitelist": "fd",
            "format_whitelist": ",".join(FORMATS),
            "codec_whitelist": ",".join(sorted(DECODERS)),
            "max_pixels": str(KNOWN_PIXELS),
            **LOOKED_AT,
        }
        try:
            name: Any = _OwnPlace(descriptor) if shared else "fd:"
            demuxer = sniff_descriptor(descriptor, path.name)
            container = av.open(name, mode="r", format=demuxer, options=only_this_file)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise MediaError("unreadable_video", path.name) from error
        with container:
            if chosen is not None:
                allow_codecs(container, chosen, path)
            yield container
    finally:
        os.close(descriptor)


def allow_codecs(container: "InputContainer", chosen: Chosen, path: Path) -> None:
    """Hold the chosen streams to the whitelist.  Raises UserError `unsupported_codec`."""
    _allow(main_video(container, chosen), "video", VIDEO_CODECS, path)
    _allow(main_audio(container, chosen), "sound", AUDIO_CODECS | PCM_CODECS, path)


def spare_decoder(path: Path, chosen: Chosen = FIRST) -> "VideoCodecContext":
    """Return one more decoder for a file's pictures; it is not open then.  Raises as open_media."""
    with open_media(path, chosen) as container:
        video = main_video(container, chosen)
        if video is None:
            raise MediaError("no_video", path.name)
        return video.codec_context


class _OwnPlace:
    """A descriptor as a file with its own place: descriptors that are duplicates share one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._place = descriptor, 0

    def read(self, size: int) -> bytes:
        found = os.pread(self._descriptor, size, self._place)
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._descriptor).st_size
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place


def _allow(
    stream: "VideoStream | AudioStream | None", kind: str, codecs: Set[str], path: Path
) -> None:
    if stream is None:
        return
    codec = codec_name(stream)
    if codec not in codecs:
        raise MediaError("unsupported_codec", path.name, kind=kind, codec=codec)
    stream.codec_context.options = {"max_pixels": str(DEFAULT_LIMITS.pixels)}

"""A folder of images, or one image, as a video file.

Does: put the bytes of the images one after the other into a QuickTime file, each a key frame, at
the rate that the user tells; nothing is decoded or coded anew.  From there on it is a video like
any other: probed, cut, sampled, hashed, cached, isolated, sent to a service.  See docs/design/0022.
Does not: guess a rate.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av

from mllm_affect.media.decoding.opening import open_file
from mllm_affect.media.images.naming import images_in, is_image
from mllm_affect.media.images.still import Still, read_still
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.refusals import MediaError
from mllm_affect.temporary import temporary_folder

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

PIXELS = {"png": "rgb24", "mjpeg": "yuvj420p"}
"""What the headers state; the decoder goes by each image's own."""

SLOWEST, FASTEST = 0.1, 1000.0


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images, or one image file, with `fps` images a second.

    One image alone needs no rate: it is shown for a second.
    """

    path: Path
    fps: float | None = None


def is_images(path: Path) -> bool:
    """Whether a path is to be read as images: a folder, or a file called like an image."""
    try:
        return path.is_dir() or is_image(path)
    except OSError:  # a name that is too long; opening it says so
        return is_image(path)


@contextmanager
def video_file(
    path: Path, fps: float | None = None, limits: Limits = DEFAULT_LIMITS, *, links: bool = True
) -> Iterator[Path]:
    """Yield the path of a video file: `path` itself, or what is made of its images for a while.

    It is called as the folder is, for messages.  Links among the images are followed only where
    `links`.  Raises UserError `no_images`, `no_image_rate`, `bad_image_rate`, `mixed_images`,
    `unsupported_image`, `file_too_large`, `video_too_long`, or as `open_file` does.
    """
    if not is_images(path):
        yield path
        return
    with temporary_folder("mllm-affect-images-") as folder:
        called = path.resolve()
        made = folder / (called.stem if is_image(called) else called.name)
        write_images(ImageFolder(path, fps), made, limits, links=links)
        yield made


def write_images(
    images: ImageFolder, target: Path, limits: Limits = DEFAULT_LIMITS, *, links: bool = True
) -> None:
    """Write the video file of some images to `target`; the same images give the same bytes."""
    paths, name = _paths(images.path), images.path.name
    rate = _rate(images, len(paths))
    if len(paths) > limits.frames:
        raise MediaError(
            "video_too_long", name, seconds=float(len(paths) / rate), frames=len(paths),
            limit=limits.seconds, frame_limit=limits.frames,
        )  # fmt: skip
    with av.open(str(target), "w", format="mov", options={"fflags": "+bitexact"}) as written:
        stream: VideoStream | None = None
        for place, still in enumerate(_alike(paths, name, limits, links)):
            stream = stream or _stream(written, still, rate)
            packet = av.Packet(still.content)
            packet.stream, packet.time_base = stream, 1 / rate
            packet.pts = packet.dts = place
            packet.duration, packet.is_keyframe = 1, True
            written.mux(packet)


def _stream(written: "OutputContainer", still: Still, rate: Fraction) -> "VideoStream":
    stream = cast("VideoStream", written.add_stream(still.codec, rate=rate))
    stream.width, stream.height = still.width, still.height
    stream.pix_fmt, stream.time_base = PIXELS[still.codec], 1 / rate
    return stream


def _paths(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return (path,)
    try:
        found = images_in(path)
    except OSError as error:
        raise MediaError("file_unreadable", path.name, reason=str(error.strerror)) from error
    if not found:
        raise MediaError("no_images", path.name, path=str(path))
    return found


def _rate(images: ImageFolder, count: int) -> Fraction:
    if images.fps is None:
        if count > 1:
            raise MediaError("no_image_rate", images.path.name)
        return Fraction(1)
    if not SLOWEST <= images.fps <= FASTEST:
        raise MediaError("bad_image_rate", images.path.name, rate=images.fps)
    return Fraction(str(images.fps)).limit_denominator(1001)


def _alike(paths: Sequence[Path], name: str, limits: Limits, links: bool) -> Iterator[Still]:
    """Yield the images, all of one kind and size."""
    first: Still | None = None
    total = 0
    for path in paths:
        descriptor = open_file(path, follow_links=links)
        try:
            total += os.fstat(descriptor).st_size
            if total > limits.bytes:
                raise MediaError("file_too_large", name, limit=limits.bytes >> 20)
            with os.fdopen(os.dup(descriptor), "rb") as stream:
                still = read_still(stream.read(), path.name)
        finally:
            os.close(descriptor)
        first = first or still
        if (still.width, still.height) != (first.width, first.height):
            raise _mixed(
                name, path, f"{still.width}x{still.height}", f"{first.width}x{first.height}"
            )
        if still.codec != first.codec:
            raise _mixed(name, path, still.codec, first.codec)
        yield still


def _mixed(name: str, path: Path, this: str, first: str) -> MediaError:
    return MediaError("mixed_images", name, image=path.name, this=this, first=first)

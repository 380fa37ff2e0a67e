"""One video, open: in a process of its own, or in this one where the caller trusts it.

Does: give both the same face, so that callers choose by a flag; take images for a video.
Does not: decode.
A stranger's file is never trusted; a corpus of one's own may be, which saves a process a video.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media import reader
from mllm_affect.media import segment as cutting
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.cutting import MAX_SECONDS, frame_times
from mllm_affect.media.decoding.clock_restarts import TimestampShifts
from mllm_affect.media.images.folder import ImageFolder, is_images, video_file
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.packet_survey import surveyed
from mllm_affect.media.parts import AnyPart
from mllm_affect.media.probe import probe
from mllm_affect.media.types import Clip, Sampling, Segment, Source
from mllm_affect.stopping import Stop


def following_links(path: Path) -> Path:
    """Return the file that a path of the user's own leads to; a stranger's links are refused."""
    return Path(os.path.realpath(path))


class Video(Protocol):
    """A video file that can be cut and read."""

    source: Source
    parts: tuple[AnyPart, ...]

    def segment(self, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
        """Return its segments; see `segment.segment`."""

    def read(self, sampling: Sampling, max_seconds: float = MAX_SECONDS) -> Iterator[Clip]:
        """Yield the clips of its segments in one decode; see `reader.read_video`."""

    def read_segments(self, segments: Sequence[Segment], sampling: Sampling) -> Iterator[Clip]:
        """Yield the clips of these segments; see `reader.read_clips`."""

    def frame_times(self) -> NDArray[np.float64]:
        """Return the timestamp of every frame in seconds, in order; see `frame_times`."""

    def moves(self) -> TimestampShifts:
        """Return how packets are moved where time is counted anew; see `survey.surveyed`."""


class TrustedVideo:
    """A video that is decoded in this process."""

    def __init__(self, source: Source, parts: Sequence[AnyPart] = ()) -> None:
        self.source = source
        self.parts = tuple(parts)

    def segment(self, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
        """Return its segments; see `segment.segment`."""
        return cutting.segment(self.source, max_seconds)

    def read(self, sampling: Sampling, max_seconds: float = MAX_SECONDS) -> Iterator[Clip]:
        """Yield the clips of its segments in one decode; see `reader.read_video`."""
        return reader.read_video(self.source, sampling, max_seconds, self.parts)

    def read_segments(self, segments: Sequence[Segment], sampling: Sampling) -> Iterator[Clip]:
        """Yield the clips of these segments; see `reader.read_clips`."""
        return reader.read_clips(self.source, segments, sampling, self.parts)

    def frame_times(self) -> NDArray[np.float64]:
        """Return the timestamp of every frame in seconds, in order."""
        return frame_times(self.source)

    def moves(self) -> TimestampShifts:
        """Return how packets are moved where time is counted anew."""
        return surveyed(self.source).moves


def read_cached(
    video: Video, sampling: Sampling, max_seconds: float, cache: ClipCache | None
) -> Generator[Clip]:
    """Yield the clips of an open video, its parts included, from the cache, or read and fill it."""

    def read(
        _source: Source, asked: Sampling, bound_s: float, _parts: Sequence[AnyPart]
    ) -> Iterator[Clip]:
        return video.read(asked, bound_s)

    return cached_video(video.source, sampling, max_seconds, video.parts, cache=cache, read=read)


@contextmanager
def open_video(
    video: Path | Source | ImageFolder,
    limits: Limits = DEFAULT_LIMITS,
    *,
    trusted: bool = False,
    parts: Sequence[AnyPart] = (),
    stop: Stop | None = None,
) -> Iterator[Video]:
    """Open a video, probe it unless it is a Source, and end its process when the block ends.

    Images are one while the block lasts (see images.folder); a folder without a rate is refused.
    `parts` are made of every clip, besides the model's frames and the sound.  Symbolic links are
    followed only where `trusted`.  Once `stop` is set, reading what is not trusted raises
    StoppedError.  Raises UserError as `probe` and `isolation.probe` do.
    """
    if isinstance(video, Source) and video.video_stream is None:
        video = video.path  # probed before streams were chosen: a store may hold such sources
    if isinstance(video, Path) and is_images(video):
        video = ImageFolder(video)
    if isinstance(video, ImageFolder):
        made = video_file(video.path, video.fps, limits, links=trusted)
        with (
            made as file,
            open_video(file, limits, trusted=trusted, parts=parts, stop=stop) as opened,
        ):
            yield opened
        return
    if trusted:
        yield TrustedVideo(video if isinstance(video, Source) else probe(video, limits), parts)
        return
    with IsolatedVideo(video, limits, parts, stop=stop) as isolated:
        yield isolated

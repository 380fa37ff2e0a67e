"""One step on one video of a corpus, in a worker process.

Does: hash a file, or decode it into the clip cache; turn what goes wrong into an outcome.
Does not: decide what is to be done (see preparing).
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.cache.content_hash import HashedFile, hash_file
from mllm_affect.media.decoding.opening import open_file, sniff_descriptor
from mllm_affect.media.images.folder import is_images, video_file
from mllm_affect.media.limits import DEFAULT_LIMITS
from mllm_affect.media.probe import check_size
from mllm_affect.media.types import Sampling, Segment
from mllm_affect.media.video import following_links, open_video, read_cached

FOR_THE_RUN = frozenset({"cache_not_written", "cache_full"})
"""Codes that say nothing about a video: the run ends with them."""


@dataclass(frozen=True)
class Job:
    """A video and where it is; hash it while `sha256` is None, else decode it."""

    video: str
    path: Path
    sha256: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a step gave: a refusal, or the hash, or the segments that are now in the cache."""

    seconds: float
    code: str | None = None
    sentence: str | None = None
    hashed: HashedFile | None = None
    segments: tuple[Segment, ...] = ()


def prepare_one(
    job: Job,
    *,
    sampling: Sampling,
    max_seconds: float,
    image_fps: float | None,
    cache: ClipCache,
    trusted: bool,
) -> Outcome:
    """Do the next step of a job.  Raises nothing: a program error becomes a refusal too."""
    started = time.perf_counter()
    hashed, segments, code, sentence = None, [], None, None
    try:
        if job.sha256 is None:
            _check(job.path)
            hashed = hash_file(job.path, image_fps)
        else:
            made = video_file(following_links(job.path), image_fps, links=trusted)
            with made as file, open_video(file, trusted=trusted) as video:
                if video.source.sha256 != job.sha256:
                    raise UserError("source_changed", f"{job.path.name} changed while it was read.")
                for clip in read_cached(video, sampling, max_seconds, cache):
                    segments.append(clip.segment)
    except UserError as error:
        code, sentence = error.code, error.sentence
    except Exception as error:  # a worker reports; the traceback would be lost with it
        code = "reading_failed"
        sentence = f"{job.path.name} cannot be read ({type(error).__name__}: {error})."
    seconds = time.perf_counter() - started
    return Outcome(seconds, code, sentence, hashed, tuple(segments))


def _check(path: Path) -> None:
    """Refuse before reading it through what is no video or too large; images are looked at then."""
    if is_images(path):
        return
    descriptor = open_file(path)
    try:
        sniff_descriptor(descriptor, path.name)
        check_size(descriptor, path.name, DEFAULT_LIMITS)
    finally:
        os.close(descriptor)

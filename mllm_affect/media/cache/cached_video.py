"""Reading a video's clips through a cache: decoded once, the same clips ever after.

Does: yield what `read_video` yields, from the cache where it is, filling it on the way where it is
not.  Does not: change a clip, know tasks, or decide how large the cache grows (see folder).
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from mllm_affect.media.cache.entry import (
    DamagedEntryError,
    EntryReader,
    EntryWriter,
    KeptPart,
    entry_key,
)
from mllm_affect.media.cache.folder import ClipCache
from mllm_affect.media.cache.makers import one_maker
from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.parts import AnyPart
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Clip, Sampling, Segment, Source

__all__ = ["ClipCache", "cached_segments", "cached_video", "open_cache"]

Read = Callable[[Source, Sampling, float, Sequence[AnyPart]], Iterator[Clip]]
"""What decodes when the cache has nothing; it must yield what `read_video` yields."""

PATIENCE_S = 3.0
"""How long a reader waits for an entry that another thread is making.  Not for ever: clips are made
as fast as that thread's reader takes them."""


def open_cache(folder: Path | None) -> ClipCache | None:
    """Open the cache in a folder, or make one there; None for None.  Raises UserError."""
    return None if folder is None else ClipCache.open(folder)


def cached_video(
    source: Source,
    sampling: Sampling,
    max_seconds: float = MAX_SECONDS,
    parts: Sequence[AnyPart] = (),
    *,
    cache: ClipCache | None = None,
    read: Read = read_video,
) -> Generator[Clip]:
    """Yield the clips that `read_video` yields, bit for bit; without a cache simply read.

    The entry is complete once the last clip was asked for; a reader that stops early leaves none.
    Threads that want the same clips at the same time wait for the first one's.  A
    damaged entry is dropped and made again.  Parts that have no form as arrays (see KeptPart) are
    made anew each time, so the video is decoded then.  Raises UserError as reading and publishing
    do.
    """
    kept = [part for part in parts if isinstance(part, KeptPart)]
    if cache is None or len(kept) < len(parts):
        yield from read(source, sampling, max_seconds, parts)
        return
    key = entry_key(source.sha256, sampling, max_seconds, kept)
    clips = _through(cache, key, sampling, kept, lambda: read(source, sampling, max_seconds, parts))
    if cache.path(key).is_file():
        yield from clips
        return
    with one_maker(cache.path(key), PATIENCE_S):
        yield from clips


def _through(
    cache: ClipCache,
    key: str,
    sampling: Sampling,
    kept: Sequence[KeptPart],
    decoded: Callable[[], Iterator[Clip]],
) -> Iterator[Clip]:
    given = 0
    try:
        with EntryReader(cache.path(key)) as entry:
            cache.touch(key)
            for clip in entry.clips(sampling, kept):
                yield clip
                given += 1
        return
    except FileNotFoundError:
        pass
    except DamagedEntryError:
        cache.drop(key)
    with cache.publishing(key) as stream, EntryWriter(stream, kept) as writer:
        for place, clip in enumerate(decoded()):
            with cache.writing():
                writer.add(clip)
            if place >= given:
                yield clip
        with cache.writing():
            writer.finish()


def cached_segments(
    source_sha256: str, sampling: Sampling, max_seconds: float, cache: ClipCache
) -> tuple[Segment, ...] | None:
    """Return the segments of an entry, None when there is none that can be opened.

    Cheap: reads the entry's directory, not its arrays.  The entry counts as used; a damaged one is
    dropped.
    """
    key = entry_key(source_sha256, sampling, max_seconds)
    try:
        with EntryReader(cache.path(key)) as entry:
            cache.touch(key)
            return entry.segments
    except FileNotFoundError:
        return None
    except DamagedEntryError:
        cache.drop(key)
        return None

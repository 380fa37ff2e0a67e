"""Which segment each word of a transcript belongs to.

Does: split chunks between segments by words.  Does not: repair times (transcript does).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby

from mllm_affect.media.speech.transcript import Chunk, Transcript
from mllm_affect.media.types import Segment


def said_in_segments(
    transcript: Transcript, segments: Sequence[Segment], origin_s: float = 0.0
) -> tuple[tuple[Chunk, ...], ...]:
    """Return for each segment what was said in it, in order; every word is in exactly one.

    The words of a chunk share its time in proportion to their characters, and a word belongs to the
    segment in which its middle lies.  So a chunk across a border is split between words, and one
    that is a single word goes where its larger part is.  Words before the first segment or after
    the last belong to that one.  A transcript without times gives nothing to anyone.

    `origin_s`: where the transcript's zero lies on the video's timeline, on which the returned
    times are.  Raises ValueError where there are words and no segments.
    """
    if transcript.chunks and not segments:
        raise ValueError("there are words but no segments to give them to")
    starts = [segment.start_s for segment in segments]
    said: list[list[Chunk]] = [[] for _ in segments]
    for chunk in transcript.chunks:
        homes = ((_home(word, starts), word) for word in _words(chunk, origin_s))
        for home, group in groupby(homes, key=lambda pair: pair[0]):
            words = [word for _, word in group]
            text = " ".join(word.text for word in words)
            said[home].append(Chunk(text, words[0].start_s, words[-1].end_s))
    return tuple(tuple(chunks) for chunks in said)


def _home(word: Chunk, starts: Sequence[float]) -> int:
    return max(0, bisect_right(starts, (word.start_s + word.end_s) / 2) - 1)


def _words(chunk: Chunk, origin_s: float) -> Iterator[Chunk]:
    """Yield a chunk's words with their shares of its time; each counts one more, for its space."""
    words = chunk.text.split()
    whole = sum(len(word) + 1 for word in words)
    start_s, span_s = origin_s + chunk.start_s, chunk.end_s - chunk.start_s
    before = 0
    for word in words:
        begins_s = start_s + span_s * before / whole
        before += len(word) + 1
        yield Chunk(word, begins_s, start_s + span_s * before / whole)

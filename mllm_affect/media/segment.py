"""Blind segmentation: spans of at most five seconds, decided by timestamps alone.

Does: list the segments of a source, every frame in exactly one, in decode order.
Does not: look at pictures, sound or labels, or write files.  The rule stands in cutting.
"""

from dataclasses import replace

from mllm_affect.media.audio import SoundSpan
from mllm_affect.media.cutting import MAX_SECONDS, SEGMENTER, grown, placed_frames
from mllm_affect.media.opening import open_media
from mllm_affect.media.types import Segment, Source

__all__ = ["MAX_SECONDS", "SEGMENTER", "segment"]


def segment(source: Source, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
    """Cut a source into segments whose last frame ends at most `max_seconds` after their start.

    Raises UserError `bad_max_seconds`, `no_frames`, or as opening does.
    """
    sound = SoundSpan()
    made: list[Segment] = []
    with open_media(source.path) as container:
        for placed in placed_frames(container, source, max_seconds, sound.see):
            before = made[-1] if made else None
            now = grown(before, placed, source)
            made[now.index :] = [now]
    return tuple(replace(one, has_audio=sound.overlaps(one.start_s, one.end_s)) for one in made)

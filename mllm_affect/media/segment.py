"""Blind segmentation: spans of at most five seconds, decided by timestamps alone.

Does: list the segments of a source, every frame in exactly one, in the order of their time; from
the packets where these can be trusted (see decoding), else from decoded frames.
Does not: look at pictures, sound or labels, or write files.  The rule stands in cutting.
"""

from collections.abc import Iterator
from dataclasses import replace

from mllm_affect.media.cutting import (
    MAX_SECONDS,
    SEGMENTER,
    cut_timeline,
    placed_frames,
)
from mllm_affect.media.decoding.audio import SoundSpan
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.display import Borders
from mllm_affect.media.looking import timeline_of
from mllm_affect.media.packet_survey import Survey, surveyed
from mllm_affect.media.types import Segment, Source
from mllm_affect.media.warnings import MediaWarning, joined

__all__ = ["MAX_SECONDS", "SEGMENTER", "segment"]


def segment(source: Source, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
    """Cut a source into segments whose last frame ends at most `max_seconds` after their start.

    Raises UserError `bad_max_seconds`, `no_frames`, or as opening does.
    """
    sound = SoundSpan()
    timeline = timeline_of(source, sound.see)
    if timeline is not None:
        made = tuple(cut_timeline(timeline, source, max_seconds))
    else:
        survey = surveyed(source)
        sound = SoundSpan(survey.heard)
        made = tuple(_decoded(survey, max_seconds))
    return tuple(replace(one, has_audio=sound.overlaps(one.start_s, one.end_s)) for one in made)


def _decoded(survey: Survey, max_seconds: float) -> Iterator[Segment]:
    source, borders, noted = survey.source, Borders(survey.source), list[MediaWarning]()
    with open_media(source.path, source.chosen) as container:
        for frame, place, maker in placed_frames(container, survey, max_seconds):
            yield from _warned(maker.see(place), borders, noted)
            borders.see(frame.picture)
            noted += frame.warnings
        yield from _warned(maker.finish(), borders, noted)


def _warned(
    ended: tuple[Segment, ...], borders: Borders, noted: list[MediaWarning]
) -> Iterator[Segment]:
    """Yield segments that ended together: one, or all in which one picture stands still.

    `noted` is what was done to their frames; it is emptied.
    """
    if not ended:
        return
    warnings = joined(borders.end(), noted)
    noted.clear()
    for one in ended:
        yield replace(one, warnings=joined(one.warnings, warnings))

"""Checks a file's stated length and frame rate, and corrects them by its packets where needed.

Does: doubt headers that contradict themselves or the index, and correct them by all packets.
Does not: look at packets where nothing is in doubt, or hold a file to limits.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mllm_affect.media.packet_survey import surveyed
from mllm_affect.media.types import Segment, Source
from mllm_affect.media.warnings import joined, warn

if TYPE_CHECKING:
    from av.video.stream import VideoStream

APART_S, APART = 0.5, 0.05
"""Lengths that differ by more than both (the second is a share) are not the same."""
FASTER = 1.5
"""A mean rate this much above the one at which the first frames follow each other is in doubt."""


def is_doubtful(source: Source, stream: "VideoStream") -> bool:
    """Whether the stated length and rate contradict each other, or the index of an MP4."""
    seconds, rate = source.duration_s, source.average_fps
    if stream.base_rate and rate > FASTER * float(stream.base_rate):
        return True
    indexed_s = _indexed_s(source, stream)
    return indexed_s is not None and _differ(seconds, indexed_s)


def is_indexed(source: Source, stream: "VideoStream") -> bool:
    """Whether an index of all packets stands beside what the headers state."""
    return _indexed_s(source, stream) is not None


def _indexed_s(source: Source, stream: "VideoStream") -> float | None:
    """Return the time from the first to the last packet in an MP4's index, None without one."""
    if source.container != "mov" or not stream.time_base:
        return None
    index = stream.index_entries
    if len(index) < 2:
        return None
    return float((index[-1].timestamp - index[0].timestamp) * stream.time_base)


def corrected(source: Source) -> tuple[Source, int]:
    """Return a source with the length and rate of its packets, and how many frames these are.

    Raises UserError as `surveyed` does.
    """
    survey = surveyed(source)
    if survey.shown is None or survey.frames < 1:
        return source, 0
    seconds = survey.shown.end_s - survey.shown.start_s
    rate = survey.frames / seconds if seconds > 0 else source.average_fps
    if not _differ(source.duration_s, seconds) and abs(rate / (source.average_fps or rate) - 1) < (
        APART
    ):
        return source, survey.frames
    warning = warn(
        "headers_corrected", stated=f"{source.duration_s:.1f}", rate=f"{source.average_fps:.4g}",
        seconds=f"{seconds:.1f}", fps=f"{rate:.4g}",
    )  # fmt: skip
    warnings = joined(source.warnings, (warning,))
    found = replace(source, duration_s=seconds, average_fps=rate, warnings=warnings)
    return found, survey.frames


def by_segments(source: Source, segments: Sequence[Segment]) -> Source:
    """Return a source with the length and the warnings of its segments (at least one).

    A stated length that is nearly theirs is kept.
    """
    seconds = segments[-1].end_s - segments[0].start_s
    if not _differ(source.duration_s, seconds):
        seconds = source.duration_s
    warnings = joined(source.warnings, *(segment.warnings for segment in segments))
    return replace(source, duration_s=seconds, warnings=warnings)


def _differ(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) > max(APART_S, APART * max(one_s, other_s))

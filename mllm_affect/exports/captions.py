"""Answers as captions (W3C WebVTT), for players and editors.

Does: one cue a segment, a line a task, on the clock that begins with the first frame.
Does not: caption what is said.
"""

import html
from collections.abc import Iterator

from mllm_affect.exports.analysis import NOTICE, Analysis
from mllm_affect.safe_text import xml_text
from mllm_affect.scoring.answers import SegmentAnswer
from mllm_affect.scoring.event_timeline import webvtt_time

SHORTEST_S = 0.001
"""A cue must end after it starts."""


def as_webvtt(analysis: Analysis) -> bytes:
    """Return the captions; cues are in order of time, named by task and segment."""
    blocks = ["WEBVTT", f"NOTE\n{_line(analysis.video)}\n{NOTICE}"]
    for (start_s, end_s), lines in sorted(_lines(analysis).items()):
        zero_s = analysis.origin_s
        until_s = max(end_s, start_s + SHORTEST_S)
        times = f"{webvtt_time(start_s - zero_s)} --> {webvtt_time(until_s - zero_s)}"
        blocks.append("\n".join((times, *lines)))
    return ("\n\n".join(blocks) + "\n").encode()


def _lines(analysis: Analysis) -> dict[tuple[float, float], list[str]]:
    """Return the lines of each span; tasks that were cut alike share a cue."""
    found: dict[tuple[float, float], list[str]] = {}
    for told in analysis.answers:
        for part in told.segments:
            line = f"{told.task}: {_said(part)}"
            found.setdefault((part.start_s, part.end_s), []).append(_line(line))
    for event in analysis.events:
        line = f"{event.type}, probability {event.probability:.2f}"
        found.setdefault((event.onset_s, event.offset_s), []).append(_line(line))
    return found


def _said(part: SegmentAnswer) -> str:
    return " ".join(_words(part))


def _words(part: SegmentAnswer) -> Iterator[str]:
    yield part.answer
    if part.answer in part.probabilities:
        yield f"({part.probabilities[part.answer]:.2f})"


def _line(text: str) -> str:
    """Return text as one line of a cue: nothing in it can end the cue or begin a tag."""
    return html.escape(xml_text(" ".join(text.split())), quote=False)

"""What is asked of a long video's windows in training, and the right answers.

Does: put coded events on the video's clock, label windows, choose which ones without expression to
keep.  Does not: cut windows (mllm_affect.expressions.windows) or read frames.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from finetune.megc.clip_rows import Absent, Question, shown_questions
from finetune.megc.rule import ExpressionRule, TimedEvent, peaking_in, shown_in
from mllm_affect.data.megc.clip_folders import ClipFiles, frame_places
from mllm_affect.data.megc.labels import EventLabel, VideoLabel
from mllm_affect.expressions.scanning import EVENT, TYPE
from mllm_affect.expressions.windows import frames_of
from mllm_affect.media.types import Clip
from mllm_affect.tasks.family import Family, Scan

USUAL_CALM = 20
"""Windows without expression that every video gives at least, also one without events."""

LONGEST_S = 4.0
"""A macro-expression lasts at most about four seconds (Ekman 2003)."""

FRAME_MISSING = "event with a coded frame missing"


class LabelledWindow(NamedTuple):
    """A window, whether it shows an expression, and the one event that peaks in it."""

    clip: Clip
    shows: bool
    peak: TimedEvent | None


class Clocked(NamedTuple):
    """The events of a long video with times in seconds.

    `unclear`: from when to when a left-out event may go on, so that nothing is learned from there;
    `left_out`: how many events were left out here, by reason.
    """

    events: tuple[TimedEvent, ...]
    unclear: tuple[tuple[float, float], ...]
    left_out: Mapping[str, int]


def on_the_clock(label: VideoLabel, files: ClipFiles, rate_fps: float) -> Clocked:
    """Return a video's events with times: a frame's place in its folder, or its number in a video.

    An event is left out where the folder lacks its coded onset, apex or offset.
    """
    places = frame_places(files)
    events: list[TimedEvent] = []
    unclear: list[tuple[float, float]] = []
    left_out: Counter[str] = Counter()

    def time_s(frame: int, *, upwards: bool = False) -> float:
        """Return the time of a frame, or of its nearest neighbour below (`upwards`: above)."""
        if not places:
            return frame / rate_fps
        if upwards:
            later = [place for number, place in places.items() if number >= frame]
            return min(later, default=len(files.images)) / rate_fps
        earlier = [place for number, place in places.items() if number <= frame]
        return max(earlier, default=0) / rate_fps

    for event in label.events:
        if places and any(frame not in places for frame in _coded(event)):
            left_out[FRAME_MISSING] += 1
            end_s = time_s(event.offset_frame, upwards=True) + 1.0 / rate_fps
            unclear.append((time_s(event.onset_frame), end_s))
            continue
        onset_s, last_s = time_s(event.onset_frame), time_s(event.offset_frame)
        apex_s = (onset_s + last_s) / 2 if event.apex_frame is None else time_s(event.apex_frame)
        # The last frame is on show until the next one would come.
        events.append(
            TimedEvent(
                onset_s=onset_s, apex_s=apex_s, offset_s=last_s + 1.0 / rate_fps, units=event.units
            )
        )
    for part in label.partly_coded:
        known = [frame for frame in (part.onset_frame, part.offset_frame) if frame is not None]
        if known:
            start_s = time_s(min(known)) - (LONGEST_S if part.onset_frame is None else 0.0)
            end_s = time_s(max(known), upwards=True) + 1.0 / rate_fps
            unclear.append((start_s, end_s + (LONGEST_S if part.offset_frame is None else 0.0)))
    return Clocked(tuple(events), tuple(unclear), left_out)


def label_windows(
    windows: Iterable[Clip],
    clocked: Clocked,
    rule: ExpressionRule,
    scan: Scan,
    random: np.random.Generator,
) -> list[LabelledWindow]:
    """Return the windows to learn from, in order: those with an expression and some of the others.

    Each window without expression is kept with the same chance.  They are drawn as they pass
    (reservoir sampling, Vitter 1985, algorithm R), as many as could be wanted at the end, so that
    memory holds little more than what is returned.
    """
    shown: list[LabelledWindow] = []
    calm: list[LabelledWindow] = []
    passed = 0
    most = _calm_wanted(most_shown(clocked.events, rule, scan), rule)
    for clip in windows:
        span = clip.segment
        if any(start < span.end_s and span.start_s < end for start, end in clocked.unclear):
            continue
        shows = shown_in(span.start_s, span.end_s, clocked.events, rule)
        if shows:
            peak = peaking_in(span.start_s, span.end_s, clocked.events)
            shown.append(LabelledWindow(clip, True, peak))
        elif shows is False:
            passed += 1
            if len(calm) < most:
                calm.append(LabelledWindow(clip, False, None))
            elif (place := int(random.integers(passed))) < most:
                calm[place] = LabelledWindow(clip, False, None)
    wanted = min(len(calm), _calm_wanted(len(shown), rule))
    kept = [calm[place] for place in random.choice(len(calm), wanted, replace=False)]
    return sorted([*shown, *kept], key=lambda one: one.clip.segment.index)


def most_shown(events: Sequence[TimedEvent], rule: ExpressionRule, scan: Scan) -> int:
    """Return how many windows can show the events at most, one every hop."""
    size, hop = frames_of(scan)
    window_s, hop_s = size / scan.rate, hop / scan.rate
    most = 0
    for event in events:
        lasts_s = event.offset_s - event.onset_s
        # Windows start within this time, from the first that shares enough to the last.
        starts_s = window_s + lasts_s - 2.0 * rule.positive_share * min(window_s, lasts_s)
        # One more at each end: windows are a little closer together where segments meet.
        most += math.ceil(starts_s / hop_s) + 2
    return most


def window_questions(window: LabelledWindow, family: Family, absent: Absent) -> Iterator[Question]:
    """Yield every question about a window: type where an event peaks in it, units where coded."""
    yield EVENT, family.task(EVENT), "yes" if window.shows else "no"
    if window.peak is not None:
        yield TYPE, family.task(TYPE), window.peak.type
        if window.peak.units:
            yield from shown_questions(family, window.peak.units, absent.draw(window.peak.units))


def units_of(window: LabelledWindow) -> tuple[str, ...] | None:
    """Return the action units that move in a window, none in a calm one; None where unclear."""
    if window.peak is not None:
        return window.peak.units or None
    return None if window.shows else ()


def _coded(event: EventLabel) -> list[int]:
    frames = (event.onset_frame, event.apex_frame, event.offset_frame)
    return [frame for frame in frames if frame is not None]


def _calm_wanted(shown: int, rule: ExpressionRule) -> int:
    return max(USUAL_CALM, round(rule.calm_per_event * shown))

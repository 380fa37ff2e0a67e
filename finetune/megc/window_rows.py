"""What is asked of a long video's windows in training, and the right answers.

Does: put coded events on the video's clock, label windows, keep enough calm ones.
Does not: cut windows (mllm_affect.expressions.windows) or read frames.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finetune.megc.clip_rows import Absent, Question, shown_questions
from finetune.megc.rule import ExpressionRule, TimedEvent, peaking_in, shown_in
from mllm_affect.data.megc.clip_folders import ClipFiles, frame_number
from mllm_affect.data.megc.labels import EventLabel
from mllm_affect.errors import UserError
from mllm_affect.expressions.scanning import EVENT, TYPE
from mllm_affect.media.types import Clip
from mllm_affect.tasks.family import Family

USUAL_CALM = 20
"""Calm windows that every video gives at least, also one without events."""


class LabelledWindow(NamedTuple):
    """A window, whether it shows an expression, and the one event that peaks in it."""

    clip: Clip
    shows: bool
    peak: TimedEvent | None


def on_the_clock(
    events: Sequence[EventLabel], files: ClipFiles, rate_fps: float
) -> tuple[TimedEvent, ...]:
    """Return events with times: a frame's place in its folder, or its number in a video.

    Raises UserError `frames_not_found` for a coded frame that the folder lacks.
    """
    places = {frame_number(image): place for place, image in enumerate(files.images)}

    def time_s(frame: int) -> float:
        if not files.images:
            return frame / rate_fps
        if frame not in places:
            raise UserError(
                "frames_not_found",
                f"{files.name} has no frame {frame}, which its coding sheet names.",
            )
        return places[frame] / rate_fps

    return tuple(
        TimedEvent(
            onset_s=time_s(event.onset_frame),
            apex_s=time_s(event.apex_frame),
            offset_s=time_s(event.offset_frame) + 1.0 / rate_fps,
            units=event.units,
        )
        for event in events
    )


def label_windows(
    windows: Iterable[Clip],
    events: Sequence[TimedEvent],
    rule: ExpressionRule,
    random: np.random.Generator,
) -> list[LabelledWindow]:
    """Return the windows to learn from, in order: those with an expression and some of the others.

    Only those are held in memory: calm ones are drawn as they pass, each with the same chance
    (reservoir sampling, Vitter 1985, algorithm R).
    """
    shown: list[LabelledWindow] = []
    calm: list[LabelledWindow] = []
    passed, wanted = 0, USUAL_CALM
    for clip in windows:
        span = clip.segment
        shows = shown_in(span.start_s, span.end_s, events, rule)
        if shows:
            peak = peaking_in(span.start_s, span.end_s, events)
            shown.append(LabelledWindow(clip, True, peak))
            wanted = max(USUAL_CALM, round(rule.calm_per_event * len(shown)))
        elif shows is False:
            passed += 1
            if len(calm) < wanted:
                calm.append(LabelledWindow(clip, False, None))
            elif (place := int(random.integers(passed))) < len(calm):
                calm[place] = LabelledWindow(clip, False, None)
    return sorted([*shown, *calm], key=lambda one: one.clip.segment.index)


def window_questions(window: LabelledWindow, family: Family, absent: Absent) -> Iterator[Question]:
    """Yield every question about a window; type and units where an event peaks in it."""
    yield EVENT, family.task(EVENT), "yes" if window.shows else "no"
    if window.peak is not None:
        yield TYPE, family.task(TYPE), window.peak.type
        yield from shown_questions(family, window.peak.units, absent.draw(window.peak.units))


def units_of(window: LabelledWindow) -> tuple[str, ...] | None:
    """Return the action units that move in a window, none in a calm one; None where unclear."""
    if window.peak is not None:
        return window.peak.units or None
    return None if window.shows else ()

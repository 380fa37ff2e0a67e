"""Expression events in a long video, from the scores of overlapping windows.

Does: turn windows into one curve over time, cut candidate intervals out of it, join what belongs
together, and call each event micro or macro.  Does not: look at frames or ask a model.

Times are seconds on the video's own timestamps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from mllm_affect.data.megc.vocabulary import EVENT_TYPES
from mllm_affect.errors import UserError

EventType = Literal["micro-expression", "macro-expression"]
MICRO, MACRO = EVENT_TYPES

MICRO_LONGEST_S = 0.5
"""A micro-expression lasts at most half a second (Yan et al. 2013)."""

SAME_TIME_S = 1e-6
"""Times closer than this are one; far below a frame's duration."""


@dataclass(frozen=True)
class Window:
    """What the model says of one span of a video, at most five seconds.

    `probability`: that an expression is going on; `units`: per action unit, that it is shown;
    `micro`: that the expression is a micro-expression, where the model was asked.
    """

    start_s: float
    end_s: float
    probability: float
    units: Mapping[str, float] = field(default_factory=dict)
    micro: float | None = None


@dataclass(frozen=True)
class EventRule:
    """How windows become events.

    An interval is where the curve stays at or above `floor` and reaches `threshold` somewhere;
    `floor` keeps one event from falling apart.  Intervals at most `join_gap_s` apart are one event,
    intervals shorter than `shortest_s` are none.
    """

    threshold: float = 0.5
    floor: float = 0.3
    join_gap_s: float = 0.1
    shortest_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a rule that cannot be meant.  Raises UserError `bad_event_rule`."""
        if not 0.0 < self.floor <= self.threshold <= 1.0:
            raise UserError(
                "bad_event_rule",
                f"floor {self.floor} and threshold {self.threshold} must be above 0, at most 1, "
                "and floor not above threshold.",
            )
        if self.join_gap_s < 0.0 or self.shortest_s < 0.0:
            raise UserError("bad_event_rule", "join_gap_s and shortest_s must not be negative.")


DEFAULT_RULE = EventRule()


@dataclass(frozen=True)
class Event:
    """One expression: from `onset_s` to `offset_s`, strongest at `apex_s`."""

    onset_s: float
    apex_s: float
    offset_s: float
    probability: float
    type: EventType
    units: Mapping[str, float] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.offset_s - self.onset_s


@dataclass(frozen=True)
class Piece:
    """A stretch of time in which the same windows hold; `probability` is their mean."""

    start_s: float
    end_s: float
    probability: float


def curve(windows: Sequence[Window]) -> list[Piece]:
    """Return the mean probability of the windows over time, one piece between neighbouring edges.

    Where no window holds there is no piece.
    """
    waiting = sorted(windows, key=lambda window: window.start_s, reverse=True)
    here: list[Window] = []
    pieces = []
    for start_s, end_s in pairwise(_edges(windows)):
        while waiting and waiting[-1].start_s <= start_s + SAME_TIME_S:
            here.append(waiting.pop())
        here = [window for window in here if window.end_s >= end_s - SAME_TIME_S]
        if here:
            mean = math.fsum(window.probability for window in here) / len(here)
            pieces.append(Piece(start_s, end_s, mean))
    return pieces


def candidates(pieces: Iterable[Piece], floor: float) -> list[tuple[Piece, ...]]:
    """Return the runs of touching pieces that stay at or above `floor`, in order of time."""
    runs: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda item: item.start_s):
        if piece.probability < floor:
            continue
        if runs and piece.start_s - runs[-1][-1].end_s <= SAME_TIME_S:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [tuple(run) for run in runs]


def joined(runs: Sequence[tuple[Piece, ...]], gap_s: float) -> list[tuple[Piece, ...]]:
    """Return the runs with neighbours at most `gap_s` apart made one."""
    merged: list[tuple[Piece, ...]] = []
    for run in runs:
        if merged and run[0].start_s - merged[-1][-1].end_s <= gap_s + SAME_TIME_S:
            merged[-1] = (*merged[-1], *run)
        else:
            merged.append(run)
    return merged


def find_events(windows: Sequence[Window], rule: EventRule = DEFAULT_RULE) -> list[Event]:
    """Return all candidate events by time, those below the threshold too: `accepted` chooses.

    An event's probability is the curve's highest value in it, its apex the middle of that piece.
    """
    pieces = curve(windows)
    events = []
    for run in joined(candidates(pieces, rule.floor), rule.join_gap_s):
        onset_s, offset_s = run[0].start_s, run[-1].end_s
        if offset_s - onset_s < rule.shortest_s - SAME_TIME_S:
            continue
        peak = max(run, key=lambda piece: piece.probability)
        apex_s = (peak.start_s + peak.end_s) / 2
        over = [
            window
            for window in windows
            if window.start_s <= apex_s <= window.end_s and window.probability >= rule.floor
        ]
        events.append(
            Event(
                onset_s=onset_s,
                apex_s=apex_s,
                offset_s=offset_s,
                probability=peak.probability,
                type=event_type(offset_s - onset_s, _told_micro(over)),
                units=_mean_units(over),
            )
        )
    return events


def accepted(events: Sequence[Event], rule: EventRule = DEFAULT_RULE) -> list[Event]:
    """Return the events that reach the rule's threshold, by time."""
    chosen = [event for event in events if event.probability >= rule.threshold]
    return sorted(chosen, key=lambda event: event.onset_s)


def event_type(duration_s: float, micro: float | None = None) -> EventType:
    """Return micro for at most half a second, or where windows too long to tell say so.

    `micro` is the model's probability of a micro-expression, or None where only time can tell.
    """
    if duration_s <= MICRO_LONGEST_S + SAME_TIME_S or (micro is not None and micro >= 0.5):
        return "micro-expression"
    return "macro-expression"


def _edges(windows: Sequence[Window]) -> list[float]:
    edges: list[float] = []
    for time_s in sorted(edge for window in windows for edge in (window.start_s, window.end_s)):
        if not edges or time_s - edges[-1] > SAME_TIME_S:
            edges.append(time_s)
    return edges


def _told_micro(windows: Sequence[Window]) -> float | None:
    """Return the mean probability of micro, None where a window is short enough for time to tell.

    An edge of the curve is only as fine as the windows that made it.
    """
    known = [window.micro for window in windows if window.micro is not None]
    shortest_s = min(window.end_s - window.start_s for window in windows)
    return sum(known) / len(known) if known and shortest_s > MICRO_LONGEST_S else None


def _mean_units(windows: Sequence[Window]) -> dict[str, float]:
    names = dict.fromkeys(name for window in windows for name in window.units)
    return {
        name: math.fsum(values) / len(values)
        for name in names
        for values in [[window.units[name] for window in windows if name in window.units]]
    }

"""What was said, on one timeline.

Does: put chunks and cues onto a monotonic timeline, counting every repair.
Does not: read files (transcript_files), give words to segments (said_in_segments) or hear speech.

A recogniser of the Whisper kind hears windows of about 30 s and may write times that restart with
each.  Where the next window began is then not known: it is the end of the last chunk at the
earliest, and the end of the window at the latest.  The earliest is taken, and the sum of the
differences is reported as `uncertain_s`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest

from mllm_affect.errors import UserError

WINDOW_S = 30.0
"""What a recogniser of the Whisper kind hears at once, in seconds."""

STEP_BACK_S = 1.0
"""A start further than this before the end of its predecessor means that the clock restarted; one
that is nearer is an overlap, and is moved to that end."""

LATEST_S = 1e6
"""Later times (eleven days) are no times of a video."""

CHARACTERS_A_SECOND = 15.0
"""Ordinary speech; gives a last chunk its end where neither that nor the recording's is stated."""


@dataclass(frozen=True)
class RawChunk:
    """A piece of speech as it is stated, in seconds; None for a time that is not stated."""

    text: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of speech in seconds on the timeline; `end_s` is not before `start_s`."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Repairs:
    """How often each kind of repair was made.

    restarts: the clock began anew.  missing_starts, missing_ends: a time was not stated.
    overlaps: a start was moved to its predecessor's end.  reversed: an end before its start was
    moved there.  negative: a time before zero became zero.  beyond_end: a chunk reached beyond the
    video and was cut.  reordered: a cue came after one that starts later.  empty: a chunk without
    text was dropped.  rolled_over: a line of rolling captions was shown again and is counted once.
    """

    restarts: int = 0
    missing_starts: int = 0
    missing_ends: int = 0
    overlaps: int = 0
    reversed: int = 0
    negative: int = 0
    beyond_end: int = 0
    reordered: int = 0
    empty: int = 0
    rolled_over: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))

    def sentence(self) -> str:
        """Say which were made, in words; "no repairs" where there was none."""
        made = [(field.name, getattr(self, field.name)) for field in fields(self)]
        said = [f"{name.replace('_', ' ')}: {count}" for name, count in made if count]
        return ", ".join(said) or "no repairs"


@dataclass(frozen=True)
class Transcript:
    """What was said.  `text` is all of it; `chunks`, in order of time, are empty without times.

    `uncertain_s`: by at most so much may the last chunk lie later than it is placed.
    """

    text: str
    chunks: tuple[Chunk, ...]
    repairs: Repairs
    uncertain_s: float = 0.0


def one_timeline(
    chunks: Sequence[RawChunk], duration_s: float | None = None, window_s: float = WINDOW_S
) -> Transcript:
    """Place chunks whose clock may restart, each at or after the end of the one before it.

    `duration_s`: of the recording, if known; nothing is placed beyond it.
    Raises UserError `bad_transcript` for a time that is no number of seconds.
    """
    repairs: Counter[str] = Counter()
    clock = _RestartingClock(repairs, window_s)
    checked = [_checked(chunk, place, repairs) for place, chunk in enumerate(chunks, start=1)]
    placed = [
        clock.place(chunk, following) for chunk, following in zip_longest(checked, checked[1:])
    ]
    if checked and checked[-1].end_s is None:
        repairs["missing_ends"] += 1
        placed[-1] = _ended(placed[-1], clock.window_ends_s, duration_s)
    return _transcript(placed, repairs, duration_s, clock.uncertain_s)


def subtitles(
    cues: Sequence[RawChunk], duration_s: float | None = None, rolled_over: int = 0
) -> Transcript:
    """Place cues in order of their starts; they may overlap, as when two people speak.

    `rolled_over`: lines that were left out before, for the record.  Raises UserError
    `bad_transcript` for a time that is missing or no number of seconds.
    """
    repairs: Counter[str] = Counter(rolled_over=rolled_over)
    placed: list[Chunk] = []
    latest_s = 0.0
    for place, cue in enumerate(cues, start=1):
        checked = _checked(cue, place, repairs)
        if checked.start_s is None or checked.end_s is None:
            raise UserError("bad_transcript", f"Piece {place} of the transcript has no times.")
        repairs["reversed"] += checked.end_s < checked.start_s
        repairs["reordered"] += checked.start_s < latest_s
        latest_s = max(latest_s, checked.start_s)
        placed.append(Chunk(cue.text, checked.start_s, max(checked.start_s, checked.end_s)))
    placed.sort(key=lambda chunk: chunk.start_s)
    return _transcript(placed, repairs, duration_s, uncertain_s=0.0)


class _RestartingClock:
    """Turns the times of one window after the other into times from the beginning."""

    def __init__(self, repairs: Counter[str], window_s: float) -> None:
        self._repairs, self._window_s = repairs, window_s
        self._base_s = 0.0
        self._ended_s = 0.0  # of the chunk before, on this window's clock
        self.uncertain_s = 0.0

    @property
    def window_ends_s(self) -> float:
        """The end of this window, from the beginning."""
        return self._base_s + self._window_s

    def place(self, chunk: RawChunk, following: RawChunk | None) -> Chunk:
        """Place the next chunk; one without an end and successor lasts no time yet."""
        start_s = self._start(chunk)
        begins_s = self._base_s + start_s
        end_s = self._end(chunk, start_s, following)
        self._ended_s = end_s
        return Chunk(chunk.text, begins_s, self._base_s + end_s)

    def _start(self, chunk: RawChunk) -> float:
        """Return where it starts on this window's clock, or on a new one's."""
        start_s = chunk.start_s
        if start_s is None:
            self._repairs["missing_starts"] += 1
            anew = chunk.end_s is not None and chunk.end_s < self._ended_s - STEP_BACK_S
            start_s = 0.0 if anew else self._ended_s
        if start_s < self._ended_s - STEP_BACK_S:
            self._restart(self._ended_s)
        elif start_s < self._ended_s:
            self._repairs["overlaps"] += 1
            start_s = self._ended_s
        return start_s

    def _end(self, chunk: RawChunk, start_s: float, following: RawChunk | None) -> float:
        next_s = following.start_s if following else None
        if chunk.end_s is None:
            return self._missing_end(start_s, following)
        if chunk.end_s >= start_s:
            return chunk.end_s
        if chunk.start_s is not None and chunk.end_s >= chunk.start_s:
            return start_s  # it lies within its predecessor, counted as an overlap
        if chunk.end_s < start_s - STEP_BACK_S and (next_s is None or next_s < start_s):
            self._restart(start_s)  # between its start and its end
            return chunk.end_s
        self._repairs["reversed"] += 1
        return start_s

    def _missing_end(self, start_s: float, following: RawChunk | None) -> float:
        """Return the next start where it is on the same clock, else the end of the window."""
        if following is None:
            return start_s
        self._repairs["missing_ends"] += 1
        if following.start_s is None:
            return start_s
        if following.start_s < start_s - STEP_BACK_S:
            return max(start_s, self._window_s)
        return max(start_s, following.start_s)

    def _restart(self, at_s: float) -> None:
        self._repairs["restarts"] += 1
        self.uncertain_s += max(0.0, self._window_s - at_s)
        self._base_s += at_s
        self._ended_s = 0.0


def _checked(chunk: RawChunk, place: int, repairs: Counter[str]) -> RawChunk:
    """Return the chunk with times that are None or from 0 to LATEST_S."""
    return RawChunk(
        chunk.text,
        _seconds(chunk.start_s, place, repairs),
        _seconds(chunk.end_s, place, repairs),
    )


def _seconds(value: float | None, place: int, repairs: Counter[str]) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(
            "bad_transcript", f"Piece {place} of the transcript has a time that is no number."
        )
    if not math.isfinite(value) or value > LATEST_S:
        raise UserError(
            "bad_transcript", f"Piece {place} of the transcript has the time {value}; give seconds."
        )
    repairs["negative"] += value < 0
    return max(0.0, float(value))


def _ended(last: Chunk, window_ends_s: float, duration_s: float | None) -> Chunk:
    """Return the last chunk, whose end is not stated, with the likeliest one.

    A recogniser states none when the sound stops within a word; so it is the recording's end.
    """
    if duration_s is None:
        end_s = last.start_s + len(last.text.strip()) / CHARACTERS_A_SECOND
    else:
        end_s = duration_s
    return Chunk(last.text, last.start_s, max(last.start_s, min(end_s, window_ends_s)))


def _transcript(
    placed: Sequence[Chunk], repairs: Counter[str], duration_s: float | None, uncertain_s: float
) -> Transcript:
    """Cut at the recording's end, drop what says nothing, join the text."""
    kept = []
    for chunk in placed:
        text = " ".join(chunk.text.split())
        if not text:
            repairs["empty"] += 1
            continue
        start_s, end_s = chunk.start_s, chunk.end_s
        if duration_s is not None and end_s > duration_s:
            repairs["beyond_end"] += 1
            start_s, end_s = min(start_s, duration_s), duration_s
        kept.append(Chunk(text, start_s, end_s))
    whole = " ".join(chunk.text for chunk in kept)
    return Transcript(whole, tuple(kept), Repairs(**repairs), uncertain_s)

"""Cues of subtitle files: WebVTT and SubRip.

Does: split a file's text into cues as W3C WebVTT defines it, take tags away, count once what
rolling captions show again.  Does not: open files (transcript_files) or repair times (transcript).

A block ends at an empty line; a line that holds a blank is not empty and belongs to its cue.  A
line of times within a block begins the next cue.

Rolling captions show each line twice or more: new at the bottom, then above the next line, and
between them alone for some milliseconds.  A line is counted once where the cue before ends in it
and the file rolls at all: at least half of its cues of several lines begin with the last line of
the cue before.  A line with timestamps of its own words is always new, so words that somebody
repeats on purpose are kept.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import RawChunk

CUE_TIMES = re.compile(
    r"^\s*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->"
    r"\s*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})(?:\s.*)?$"
)
CUE_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}")
WORD_TIME = re.compile(r"<(?:\d+:)?\d{1,2}:\d{1,2}\.\d{1,3}>")
NOT_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")
ARROW = "-->"

ADJOINING_S = 0.1
"""Cues at most this far apart follow each other without a gap."""

ROLLING_SHARE = 0.5


@dataclass(frozen=True)
class _Line:
    """A line's words, and whether timestamps stand between them."""

    text: str
    timed: bool


@dataclass(frozen=True)
class _Cue:
    """A cue as it is shown; lines without words are left out."""

    start_s: float
    end_s: float
    lines: tuple[_Line, ...]


def read_cues(text: str, most: int) -> tuple[list[RawChunk], int]:
    """Return the cues with words of their own, and how many lines were shown again.

    Raises UserError `bad_transcript` for a block without times, and for more than `most` cues.
    """
    cues: list[_Cue] = []
    for cue in _shown(text):
        if len(cues) == most:
            raise UserError("bad_transcript", f"It holds more than {most} cues.")
        cues.append(cue)
    carried = _carried(cues) if _rolls(cues) else [0] * len(cues)
    chunks = [
        RawChunk("\n".join(line.text for line in cue.lines[again:]), cue.start_s, cue.end_s)
        for cue, again in zip(cues, carried, strict=True)
        if again < len(cue.lines) or not cue.lines
    ]
    return chunks, sum(carried)


def _shown(text: str) -> Iterator[_Cue]:
    for number, block in enumerate(re.split(r"\n\n+", text.strip("\n")), start=1):
        lines = block.split("\n")
        first = next((line for line in lines if line.strip()), "")
        if not first or (first.split()[0] in NOT_CUES and ARROW not in first):
            continue
        at = [place for place, line in enumerate(lines) if ARROW in line]
        if not at or sum(bool(line.strip()) for line in lines[: at[0]]) > 1:
            raise _no_times(number)
        for place, following in pairwise([*at, len(lines)]):
            times = CUE_TIMES.match(lines[place])
            if times is None:
                raise _no_times(number)
            until = following - _identifier(lines, place, following)
            yield _Cue(
                _clock(times.groups()[:4]),
                _clock(times.groups()[4:]),
                tuple(_lines(lines[place + 1 : until])),
            )


def _identifier(lines: Sequence[str], place: int, following: int) -> bool:
    """Whether the line before the times at `following` is the number of that cue.

    It is where a line of blanks stands before it: some programs end numbered cues with one.
    """
    before = following - 2
    numbered = before > place and lines[before + 1].strip().isdecimal()
    return following < len(lines) and numbered and not lines[before].strip()


def _lines(lines: Sequence[str]) -> Iterator[_Line]:
    for line in lines:
        words = html.unescape(CUE_TAG.sub("", line))
        if words.strip():
            yield _Line(" ".join(words.split()), WORD_TIME.search(line) is not None)


def _rolls(cues: Sequence[_Cue]) -> bool:
    several = [cue for cue in cues if len(cue.lines) > 1]
    rolling = [
        cue
        for before, cue in pairwise(cues)
        if len(cue.lines) > 1 and _adjoin(before, cue) and 0 < _again(before, cue) < len(cue.lines)
    ]
    return bool(rolling) and len(rolling) >= ROLLING_SHARE * len(several)


def _carried(cues: Sequence[_Cue]) -> list[int]:
    """Return how many first lines of each cue were shown by the one before it.

    After a gap a cue that shows nothing new is spoken again.
    """
    carried = [0] * min(1, len(cues))
    for before, cue in pairwise(cues):
        again = _again(before, cue)
        spoken_again = again == len(cue.lines) and not _adjoin(before, cue)
        carried.append(0 if spoken_again else again)
    return carried


def _again(before: _Cue, cue: _Cue) -> int:
    """Return how many first lines of a cue are the last ones of the cue before it, at most."""
    for count in range(min(len(before.lines), len(cue.lines)), 0, -1):
        first, last = cue.lines[:count], before.lines[-count:]
        same = [line.text for line in first] == [line.text for line in last]
        if same and not any(line.timed for line in first):
            return count
    return 0


def _adjoin(before: _Cue, cue: _Cue) -> bool:
    return before.start_s <= cue.start_s <= before.end_s + ADJOINING_S


def _clock(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{fraction}")


def _no_times(number: int) -> UserError:
    return UserError(
        "bad_transcript", f"Block {number} has no line of times like 00:01.000 --> 00:02.5."
    )

"""What the reader of a video dropped, repaired, extended or converted, for people to see.

Does: hold the one table of codes and sentences, make warnings from it, join them, tell ours from
others.  Does not: decide.  The table is part of the public interface; docs/media-limits.md lists
it.

A warning about the whole file stands in `Source.warnings`.  `Segment.warnings` holds these and what
is known about that span besides, so that whoever has the segments (segments.jsonl, the clip cache,
an answer) has all warnings.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mllm_affect.media.types import Clip

Fact = int | float | str

MOST_FACT = 80
"""Characters that one fact may add to a sentence."""

SENTENCES: dict[str, str] = {
    "clock_restarts": "The file counts time anew {times} times, as joined recordings do; its parts "
    "were put one after the other.",
    "headers_corrected": "The file states {stated} s at {rate} frames a second; its packets are "
    "{seconds} s at {fps}, which is used.",
    "picture_times_repaired": "Some pictures have no timestamp, or none that is later than that of "
    "the one before; they are shown right after it.",
    "pictures_damaged": "Some pictures cannot be decoded, or only in part; for a missing one the "
    "one before is shown.",
    "picture_stands_still": "The picture stands still from {start} s to {end} s; it is shown on "
    "all the while.",
    "sound_after_pictures": "The sound goes on for {seconds} s after the last picture, which is "
    "shown on.",
    "sound_damaged": "Some of the sound cannot be decoded; it is silent there.",
    "sound_drifts": "The clocks of sound and pictures drift apart; the sound is stretched a little "
    "to stay in place.",
    "sound_inverted": "One channel of the sound is the other one inverted; it was turned round, or "
    "mixing them would leave nothing.",
    "sound_wobbles": "The sound's timestamps wobble; its samples were kept together.",
    "sound_before_pictures": "The sound begins {seconds} s before the first picture, which is "
    "shown from there on.",
    "video_streams": "The file holds {count} video streams; stream {index} ({about}) is read, the "
    "others are not.",
    "audio_streams": "The file holds {count} sound streams; stream {index} is read ({about}), the "
    "others are not.",
    "tilted": "The file asks to be shown tilted by {degrees} degrees beside a quarter turn; it is "
    "read at the nearest quarter turn.",
    "pixel_aspect": "The file states pixels of an impossible shape; they are read as square.",
    "hdr": "The video has high dynamic range ({kind}); its colours are mapped to the standard "
    "range.",
    "borders": "The shape of the picture changes midway; pictures of another shape are fitted into "
    "{width}x{height} with black borders.",
}  # fmt: skip
"""Sentences by code; the names in braces are filled in from what was found."""


@dataclass(frozen=True)
class MediaWarning:
    """One thing that was done to a video; `code` is stable, `sentence` is for people."""

    code: str
    sentence: str


Warnings = tuple[MediaWarning, ...]


def warn(code: str, **facts: Fact) -> MediaWarning:
    """Return the warning of this code, its sentence filled in with what was found."""
    return MediaWarning(code, SENTENCES[code].format(**facts))


def joined(*some: Iterable[MediaWarning]) -> Warnings:
    """Return all warnings in order, each once."""
    return tuple(dict.fromkeys(one for group in some for one in group))


def is_ours(warning: MediaWarning) -> bool:
    """Whether its sentence is one of the table: nobody else's text is shown to people."""
    pattern = _pattern(warning.code)
    return pattern is not None and pattern.fullmatch(warning.sentence) is not None


@cache
def _pattern(code: str) -> re.Pattern[str] | None:
    if code not in SENTENCES:
        return None
    words = re.split(r"\{[^{}]*\}", SENTENCES[code])
    fact = f"[ -~]{{0,{MOST_FACT}}}"
    return re.compile(fact.join(map(re.escape, words)))


def from_json(rows: Iterable[dict[str, Any]]) -> Warnings:
    """Return warnings that were written as JSON objects."""
    return tuple(MediaWarning(str(row["code"]), str(row["sentence"])) for row in rows)


class Noted:
    """The warnings of the clips that passed, each once."""

    def __init__(self) -> None:
        self._all: dict[MediaWarning, None] = {}

    def passing(self, clips: "Iterable[Clip]") -> "Iterator[Clip]":
        """Yield the clips and note their warnings."""
        for clip in clips:
            self._all.update(dict.fromkeys(clip.segment.warnings))
            yield clip

    @property
    def warnings(self) -> Warnings:
        """What was noted so far, in the order in which it came."""
        return tuple(self._all)

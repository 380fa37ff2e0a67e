"""What only shows when rows are held beside each other.

Does: find repeated rows, one clip with two answers, and people or clips in two splits.
Does not: look inside a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.checking.findings import Fault

Place = tuple[str, int]
"""File and line."""


@dataclass(frozen=True)
class Seen:
    """A sound row: where it stands, its split, whom it shows, hash of its clip, what it asks."""

    place: Place
    split: str
    people: tuple[tuple[str, str], ...]
    content: str
    question: str
    answer: str


class RowsSeen:
    """Remembers rows and tells what the next one collides with."""

    def __init__(self, repeats_allowed: bool) -> None:
        self._repeats_allowed = repeats_allowed
        self._asked: dict[tuple[str, str], Seen] = {}
        self._clips: dict[str, Seen] = {}
        self._people: dict[tuple[str, str], Seen] = {}

    def collisions(self, row: Seen) -> Iterator[Fault]:
        """Yield what is wrong with `row` given the rows before it, and remember it."""
        before = self._asked.setdefault((row.content, row.question), row)
        if before is not row:
            yield from self._asked_before(row, before)
        clip = self._clips.setdefault(row.content, row)
        if clip.split != row.split:
            yield "clip_in_two_splits", f"Its clip is also in split {clip.split} ({_at(clip)})."
        for person in row.people:
            other = self._people.setdefault(person, row)
            if other.split != row.split:
                kind, name = person
                yield (
                    "participant_leak",
                    f"The {kind} {name!r} is also in split {other.split} ({_at(other)}).",
                )

    def _asked_before(self, row: Seen, before: Seen) -> Iterator[Fault]:
        if before.answer != row.answer:
            yield (
                "contradiction",
                f"The same clip and question are answered {before.answer!r} at {_at(before)}.",
            )
        elif before.split == row.split and not self._repeats_allowed:
            yield "duplicate", f"It is the row of {_at(before)} again."


def _at(row: Seen) -> str:
    file, line = row.place
    return f"{file}, line {line}"

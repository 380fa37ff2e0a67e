"""What the model is told besides the clip: what the person was asked, and what they said.

Does: describe the wording of it as part of a prompt, fill it in, and make strangers' text plain.
Does not: decide which words belong to which segment (video_context), or put the text anywhere.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Part = Literal["asked", "segment", "video"]
"""What was asked; what is said in this segment; what is said in the whole video."""

PARTS: tuple[Part, ...] = get_args(Part)

BRACKETS = str.maketrans({"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
                          ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"})  # fmt: skip
"""Every token of the model and every tag of ms-swift that stands for a role or for media begins
with a plain angle bracket, so a text without them can hold none."""

UNPRINTED = frozenset({"Cc", "Cs"})
"""Unicode's control characters and halves of characters."""


@dataclass(frozen=True)
class Told:
    """What is known about one clip; None: not known, an empty text: nothing was said."""

    asked: str | None = None
    segment: str | None = None
    video: str | None = None


NOTHING = Told()


class ContextWording(BaseModel):
    """How the context is worded: lines before the question, each with one part in braces.

    `{asked}` is what the person was asked, `{segment}` what is said in the segment that the
    question is about, `{video}` what is said in the whole video.  A line whose part is not known
    is left out; `silence` stands for a part that is known to be empty.  A longer text than
    `max_characters` is cut between words and ends in an ellipsis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: tuple[str, ...] = Field(min_length=1)
    silence: str = Field(default="(nothing)", min_length=1)
    max_characters: int = Field(default=4000, ge=1, le=100_000)

    @model_validator(mode="after")
    def _one_part_a_line(self) -> Self:
        found = [part for line in self.lines for part in _parts(line)]
        if any(len(_parts(line)) != 1 for line in self.lines) or len(set(found)) != len(found):
            braces = ", ".join(f"{{{part}}}" for part in PARTS)
            raise ValueError(f"every line of the context names one of {braces}, none of them twice")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are told, in the lines' order."""
        return tuple(part for line in self.lines for part in _parts(line))

    def text(self, told: Told, question: str) -> str:
        """Return the context's lines and, on the last line, the question."""
        lines = [self._line(line, told) for line in self.lines]
        return "\n".join([*(line for line in lines if line is not None), question])

    def _line(self, line: str, told: Told) -> str | None:
        (part,) = _parts(line)
        text: str | None = getattr(told, part)
        if text is None:
            return None
        said = shortened(plain(text), self.max_characters) or self.silence
        return line.replace(f"{{{part}}}", said)


def plain(text: str) -> str:
    """Return a text of anybody's on one line, so that it can be nothing but text to the model.

    Angle brackets become typographic ones, control characters go, white space becomes one space.
    """
    kept = "".join(letter for letter in text if letter.isspace() or _printed(letter))
    return " ".join(kept.split()).translate(BRACKETS)


def shortened(text: str, characters: int) -> str:
    """Return the text, cut after a word where it is longer; the ellipsis is not counted."""
    if len(text) <= characters:
        return text
    head, space, _ = text[: characters + 1].rpartition(" ")
    return f"{head if space else text[:characters]} \N{HORIZONTAL ELLIPSIS}"


def _printed(letter: str) -> bool:
    return unicodedata.category(letter) not in UNPRINTED


def _parts(line: str) -> tuple[Part, ...]:
    return tuple(part for part in PARTS for _ in range(line.count(f"{{{part}}}")))

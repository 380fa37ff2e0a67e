"""How long a transcript is and how much it hedges.

Does: count words and hedging phrases of one language's list.  Does not: judge what is meant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class HedgeList:
    """Hedging phrases of one language, each a tuple of lower-case words."""

    language: str
    phrases: tuple[tuple[str, ...], ...]

    def count(self, words: Sequence[str]) -> int:
        """How many phrases stand in the words; one phrase may be part of another's place."""
        lengths = sorted({len(phrase) for phrase in self.phrases})
        known = set(self.phrases)
        return sum(
            tuple(words[start : start + length]) in known
            for length in lengths
            for start in range(len(words) - length + 1)
        )


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text; typographic apostrophes count as plain ones."""
    return WORD.findall(text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


@cache
def english() -> HedgeList:
    """Return our list for English."""
    text = (files("eval") / "hedges_en.yaml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)
    return HedgeList(
        language=listed["language"],
        phrases=tuple(tuple(words_of(phrase)) for phrase in listed["phrases"]),
    )

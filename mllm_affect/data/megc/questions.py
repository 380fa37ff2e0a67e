"""The challenge's questions, told apart by their exact text.

Does: recognise a text as one kind of question with what it names, and word such a question.
Does not: guess: a text that differs by a letter is none of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from mllm_affect.data.megc.vocabulary import ACTION_UNITS


class Kind(StrEnum):
    """What is asked: about a clip (task 1), or about a long video (task 2)."""

    coarse = "coarse"
    fine = "fine"
    unit = "unit"
    units = "units"
    unit_shown = "unit_shown"
    unit_side = "unit_side"
    joint_unit = "joint_unit"
    joint_units = "joint_units"
    analysis = "analysis"
    count_all = "count_all"
    count_micro = "count_micro"
    count_macro = "count_macro"
    distinct_units = "distinct_units"
    event_type = "event_type"


VQA: Final = frozenset(
    {
        Kind.coarse, Kind.fine, Kind.unit, Kind.units, Kind.unit_shown, Kind.unit_side,
        Kind.joint_unit, Kind.joint_units, Kind.analysis,
    }
)  # fmt: skip
"""Kinds that task 1 asks; `unit_side` only in training files."""

LVQA: Final = frozenset(Kind) - VQA
COUNTS: Final = frozenset({Kind.count_all, Kind.count_micro, Kind.count_macro})

ONE_UNIT: Final = frozenset({Kind.unit, Kind.joint_unit})
SEVERAL_UNITS: Final = frozenset({Kind.units, Kind.joint_units})
"""The wording itself says whether the truth has one action unit or several."""

_JOINT_END = "what is the fine-grained expression and the coarse expression class?"

TEXTS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.coarse: ("What is the coarse expression class?",),
        Kind.fine: ("What is the fine-grained expression class?",),
        Kind.unit: ("What is the action unit?",),
        Kind.units: ("What are the action units?",),
        Kind.unit_shown: ("Is the action unit {unit} shown on the face?",),
        Kind.unit_side: ("Is the action unit {unit} located on the left or right face?",),
        Kind.joint_unit: (f"What is the action unit present, and based on it, {_JOINT_END}",),
        Kind.joint_units: (f"What are the action units present, and based on them, {_JOINT_END}",),
        Kind.analysis: (
            "Please analyse the micro-expression shown in this video in detail.",
            "Provide a detailed analysis of the micro-expression observed in this clip.",
            "Provide a comprehensive analysis of the facial micro-expression shown in this clip.",
        ),
        Kind.count_all: ("How many expression events appear in this video?",),
        Kind.count_micro: ("How many micro-expression events appear in this video?",),
        Kind.count_macro: ("How many macro-expression events appear in this video?",),
        Kind.distinct_units: ("What distinct action units appear in this video?",),
        Kind.event_type: (
            "What is the expression type of the {number}-th expression event in this video?",
        ),
    }
)
"""Every wording; `{unit}` is an action unit's name, `{number}` counts events from 1 ("2-th")."""


@dataclass(frozen=True)
class Asked:
    """A recognised question: its kind, and the action unit or the event number that it names."""

    kind: Kind
    unit: str | None = None
    number: int | None = None


def recognise(text: str) -> Asked | None:
    """Return what `text` asks, or None when it is none of the challenge's questions.

    An action unit outside of the vocabulary makes a question unknown too.
    """
    fixed = _FIXED.get(text)
    if fixed is not None:
        return fixed
    for kind, pattern in _NAMING:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        if kind is Kind.event_type:
            return Asked(kind, number=int(found["named"]))
        return Asked(kind, unit=found["named"]) if found["named"] in ACTION_UNITS else None
    return None


def word(asked: Asked, wording: int = 0) -> str:
    """Return the question's text, in the given one of its wordings."""
    return TEXTS[asked.kind][wording].format(unit=asked.unit, number=asked.number)


def _pattern(kind: Kind) -> re.Pattern[str]:
    (text,) = TEXTS[kind]
    named = r"(?P<named>[1-9][0-9]*)" if kind is Kind.event_type else r"(?P<named>.+)"
    before, after = re.split(r"\{[a-z]+\}", text)
    return re.compile(re.escape(before) + named + re.escape(after))


_NAMING = tuple(
    (kind, _pattern(kind)) for kind in (Kind.unit_shown, Kind.unit_side, Kind.event_type)
)
_FIXED = {text: Asked(kind) for kind, texts in TEXTS.items() for text in texts if "{" not in text}

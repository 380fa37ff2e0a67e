"""What an answer says, whether it is one, and whether a clip's answers agree.

Does: read every kind of answer strictly, list contradictions between the answers of one clip or
one long video.  Does not: mend an answer, or compare it with the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mllm_affect.data.megc.questions import COUNTS, ONE_UNIT, SEVERAL_UNITS, Asked, Kind
from mllm_affect.data.megc.sentences import read_analysis, read_joint_sentence
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    ALL_UNITS,
    COARSE,
    COARSE_OF_FINE,
    EVENT_TYPES,
    FINE,
    SEPARATOR,
    SIDES,
    YES_NO,
)

ONE_OF = {
    Kind.coarse: COARSE,
    Kind.fine: FINE,
    Kind.unit_shown: YES_NO,
    Kind.unit_side: SIDES,
    Kind.event_type: EVENT_TYPES,
}
"""The whole answer space of the kinds that have a small one."""


@dataclass(frozen=True)
class Said:
    """What an answer says about its clip or video; None where it says nothing about that."""

    units: frozenset[str] | None = None
    fine: str | None = None
    coarse: str | None = None
    word: str | None = None
    count: int | None = None


def read_answer(asked: Asked, answer: Any) -> Said:
    """Read an answer to a question.

    Raises ValueError, in words for a user, when it is no answer: of another type, off the
    vocabulary, misspelt, or with as many action units as the wording rules out.  The action units
    of a long video may be empty, our reading of a video without events, and may be any of the
    Facial Action Coding System; those of a clip are the challenge's 25.
    """
    if asked.kind in COUNTS:
        return Said(count=read_count(answer))
    if asked.kind is Kind.distinct_units and answer == "":
        return Said(units=frozenset())
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("there is no answer" if not answer else f"{answer!r} is not a text")
    if asked.kind in ONE_OF:
        return _one_of(asked.kind, answer)
    if asked.kind is Kind.analysis:
        told = read_analysis(answer)
        return Said(told.units, told.fine, told.coarse)
    if asked.kind in (Kind.joint_unit, Kind.joint_units):
        return _joint(asked.kind, answer)
    return Said(units=_units(asked.kind, answer))


def read_count(answer: Any) -> int:
    """Read a count, a JSON number or a text of digits.  Raises ValueError."""
    if isinstance(answer, bool) or not isinstance(answer, int | str):
        raise ValueError(f"{answer!r} is no count")
    text = str(answer)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{answer!r} is no count")
    return int(text)


def contradictions(answered: Sequence[tuple[Asked, Any]]) -> list[str]:
    """Say where the answers about one clip, or one long video, contradict each other.

    Answers that cannot be read say nothing; `read_answer` reports them.
    """
    said: list[tuple[Asked, Said]] = []
    for asked, answer in answered:
        try:
            said.append((asked, read_answer(asked, answer)))
        except ValueError:
            continue
    return [*_about_clip(said), *_about_events(said)]


def _one_of(kind: Kind, answer: str) -> Said:
    allowed = ONE_OF[kind]
    if answer not in allowed:
        raise ValueError(f"{answer!r} is none of {', '.join(allowed)}")
    if kind is Kind.coarse:
        return Said(coarse=answer)
    return Said(fine=answer) if kind is Kind.fine else Said(word=answer)


def _joint(kind: Kind, answer: str) -> Said:
    parts = read_joint_sentence(answer)
    if parts is None:
        raise ValueError(f"{answer!r} is not worded as the joint answer is")
    listed, fine, coarse = parts
    _one_of(Kind.fine, fine)
    _one_of(Kind.coarse, coarse)
    return Said(_units(kind, listed), fine, coarse)


def _units(kind: Kind, listed: str) -> frozenset[str]:
    names = listed.split(SEPARATOR)
    known = ALL_UNITS if kind is Kind.distinct_units else ACTION_UNITS
    strange = [name for name in names if name not in known]
    if strange:
        raise ValueError(f"{', '.join(map(repr, strange))} is no action unit")
    if len(set(names)) != len(names):
        raise ValueError(f"{listed!r} names an action unit twice")
    if kind in ONE_UNIT and len(names) != 1:
        raise ValueError(f"the question asks for one action unit, the answer has {len(names)}")
    if kind in SEVERAL_UNITS and len(names) < 2:
        raise ValueError("the question asks for several action units, the answer has one")
    return frozenset(names)


def _about_clip(said: Sequence[tuple[Asked, Said]]) -> list[str]:
    found = []
    clip = [(asked, item) for asked, item in said if asked.kind is not Kind.distinct_units]
    units = {item.units for _, item in clip if item.units is not None}
    fine = {item.fine for _, item in clip if item.fine is not None}
    coarse = {item.coarse for _, item in clip if item.coarse is not None}
    if len(units) > 1:
        found.append("different action units are named")
    if len(fine) > 1:
        found.append(f"the fine class is {' and '.join(sorted(fine))}")
    if len(coarse) > 1:
        found.append(f"the coarse class is {' and '.join(sorted(coarse))}")
    found += [
        f"{one} is {COARSE_OF_FINE[one]}, not {other}"
        for one in sorted(fine)
        for other in sorted(coarse)
        if COARSE_OF_FINE.get(one) != other and one in COARSE_OF_FINE
    ]
    for asked, item in clip:
        if asked.kind not in (Kind.unit_shown, Kind.unit_side) or len(units) != 1:
            continue
        (listed,) = units
        shown = item.word != "no"
        if shown != (asked.unit in listed):
            yes = "is said to be shown" if shown else "is said not to be shown"
            found.append(f"{asked.unit} {yes}, against the action units listed")
    return found


def _about_events(said: Sequence[tuple[Asked, Said]]) -> list[str]:
    counts: dict[Kind, int] = {}
    found = []
    for asked, item in said:
        if item.count is None:
            continue
        if counts.setdefault(asked.kind, item.count) != item.count:
            found.append(f"{asked.kind} is {counts[asked.kind]} and {item.count}")
    total, micro, macro = (
        counts.get(kind) for kind in (Kind.count_all, Kind.count_micro, Kind.count_macro)
    )
    if total is not None and micro is not None and macro is not None and total != micro + macro:
        found.append(f"{total} events are not {micro} micro- and {macro} macro-expressions")
    types: dict[int, str] = {}
    for asked, item in said:
        if asked.number is None or item.word is None:
            continue
        if types.setdefault(asked.number, item.word) != item.word:
            found.append(f"event {asked.number} has two types")
    for asked, item in said:
        if asked.kind is not Kind.distinct_units or total is None or item.units is None:
            continue
        if bool(item.units) != bool(total):
            found.append(f"{total} events show {len(item.units)} action units")
    largest = max((asked.number or 0 for asked, _ in said), default=0)
    if total is not None and total < largest:
        found.append(f"{total} events, but event {largest} is asked about")
    for name, count in zip(EVENT_TYPES, (micro, macro), strict=True):
        typed = sum(value == name for value in types.values())
        if count is not None and typed > count:
            found.append(f"{typed} events are called {name}, but only {count} are counted")
    return found

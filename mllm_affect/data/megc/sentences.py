"""The two kinds of answer that are sentences: the joint answer and the analysis.

Does: write them from action units, fine and coarse class, and read such facts out of a text.
Does not: decide anything.

The joint sentence is the challenge's; its plural and the words of the analysis are our reading.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from mllm_affect.data.megc.vocabulary import ACTION_UNITS, join_units

_CLASSES = (
    "the fine-grained expression class is {fine}, and the coarse expression class is {coarse}."
)
ONE = "The action unit present is: {units}. Therefore, " + _CLASSES
SEVERAL = "The action units present are: {units}. Therefore, " + _CLASSES

ANALYSIS_ONE = (
    "The micro-expression in this video shows the action unit {units}. Based on it, " + _CLASSES
)
ANALYSIS_SEVERAL = (
    "The micro-expression in this video shows the action units {units}. Based on them, " + _CLASSES
)

_JOINT = re.compile(
    r"The action units? present (?:is|are): (?P<units>[^.]*)\. Therefore, "
    r"the fine-grained expression class is (?P<fine>[a-z]+), "
    r"and the coarse expression class is (?P<coarse>[a-z]+)\."
)
_UNIT = re.compile(rf"\b(?:{'|'.join(map(re.escape, ACTION_UNITS))})\b")
_FINE = re.compile(r"fine-grained expression class is ([a-z]+)")
_COARSE = re.compile(r"coarse expression class is ([a-z]+)")


@dataclass(frozen=True)
class Told:
    """What a text says; None where it says nothing about that."""

    units: frozenset[str] | None
    fine: str | None
    coarse: str | None


def joint_sentence(units: Collection[str], fine: str, coarse: str) -> str:
    """Return the joint answer; one action unit or several decide the wording."""
    form = ONE if len(units) == 1 else SEVERAL
    return form.format(units=join_units(units), fine=fine, coarse=coarse)


def analysis_text(units: Collection[str], fine: str, coarse: str) -> str:
    """Return the analysis: one sentence about the movements and one about the classes."""
    form = ANALYSIS_ONE if len(units) == 1 else ANALYSIS_SEVERAL
    return form.format(units=join_units(units), fine=fine, coarse=coarse)


def read_joint_sentence(text: str) -> tuple[str, str, str] | None:
    """Return (action units as listed, fine, coarse), or None for another sentence."""
    found = _JOINT.fullmatch(text)
    return (found["units"], found["fine"], found["coarse"]) if found else None


def read_analysis(text: str) -> Told:
    """Return what a free text names: action units by name, classes where it states them."""
    units = frozenset(_UNIT.findall(text))
    fine, coarse = _FINE.search(text), _COARSE.search(text)
    return Told(
        units=units or None,
        fine=fine.group(1) if fine else None,
        coarse=coarse.group(1) if coarse else None,
    )

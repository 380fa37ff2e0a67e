"""The challenge's words: action units, fine and coarse classes, event types.

Does: list them in the challenge's exact spelling and map between them.  Does not: know questions.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

ACTION_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "inner brow raiser": 1,
        "outer brow raiser": 2,
        "brow lowerer": 4,
        "upper lid raiser": 5,
        "cheek raiser": 6,
        "lid tightener": 7,
        "eye closure": 43,
        "eyes left": 61,
        "nose wrinkler": 9,
        "upper lip raiser": 10,
        "lip corner puller": 12,
        "dimpler": 14,
        "lip corner depressor": 15,
        "chin raiser": 17,
        "lip stretcher": 20,
        "lip tightener": 23,
        "lips part": 25,
        "jaw drop": 26,
        "jaw clencher": 31,
        "lip pressor": 24,
        "lower lip depressor": 16,
        "neck tightener": 21,
        "nostril compress": 39,
        "nostril dilater": 38,
        "tilt right": 56,
    }
)
"""The 25 names with their number in the Facial Action Coding System (Ekman and Friesen 1978).

The order is the challenge's, and ours wherever action units are listed.
"""

UNIT_OF_NUMBER: Final[Mapping[int, str]] = MappingProxyType(
    {number: name for name, number in ACTION_UNITS.items()}
)

COARSE: Final = ("positive", "negative", "surprise")

COARSE_OF_FINE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "anger": "negative",
        "contempt": "negative",
        "disgust": "negative",
        "fear": "negative",
        "happiness": "positive",
        "repression": "negative",
        "sadness": "negative",
        "surprise": "surprise",
    }
)
"""The coarse class of every fine class in the training files."""

FINE: Final = tuple(COARSE_OF_FINE)

FINE_IN_TEST: Final = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""What participants found the tests to hold; the organisers have not said so."""

EVENT_TYPES: Final = ("micro-expression", "macro-expression")

SIDES: Final = ("left", "right")
YES_NO: Final = ("yes", "no")

SEPARATOR: Final = ", "
"""Between action units in an answer."""

_PLACE = {name: place for place, name in enumerate(ACTION_UNITS)}


def in_order(units: Iterable[str]) -> tuple[str, ...]:
    """Return action units without repeats, in the vocabulary's order.  Raises KeyError."""
    return tuple(sorted(set(units), key=lambda name: _PLACE[name]))


def join_units(units: Iterable[str]) -> str:
    """Return the answer that lists these action units, in the vocabulary's order."""
    return SEPARATOR.join(in_order(units))

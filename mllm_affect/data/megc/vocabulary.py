"""The challenge's words: action units, fine and coarse classes, event types.

Does: list them in the challenge's exact spelling and map between them; name the other action units
of the Facial Action Coding System.  Does not: know questions.
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

The order is the challenge's, and ours wherever action units are listed.  Questions about short
clips name these alone.
"""

OTHER_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "lips toward each other": 8,
        "nasolabial deepener": 11,
        "sharp lip puller": 13,
        "lip pucker": 18,
        "tongue show": 19,
        "lip funneler": 22,
        "mouth stretch": 27,
        "lip suck": 28,
        "jaw thrust": 29,
        "jaw sideways": 30,
        "lip bite": 32,
        "cheek blow": 33,
        "cheek puff": 34,
        "cheek suck": 35,
        "tongue bulge": 36,
        "lip wipe": 37,
        "lid droop": 41,
        "slit": 42,
        "squint": 44,
        "blink": 45,
        "wink": 46,
        "head turn left": 51,
        "head turn right": 52,
        "head up": 53,
        "head down": 54,
        "tilt left": 55,
        "head forward": 57,
        "head back": 58,
        "eyes right": 62,
        "eyes up": 63,
        "eyes down": 64,
    }
)
"""The other names of the Facial Action Coding System, which macro-expressions may show.

Answers about long videos may list them.  How the organisers spell them is not known; the names are
the system's, in the challenge's style.
"""

ALL_UNITS: Final[Mapping[str, int]] = MappingProxyType({**ACTION_UNITS, **OTHER_UNITS})

UNIT_OF_NUMBER: Final[Mapping[int, str]] = MappingProxyType(
    {number: name for name, number in ALL_UNITS.items()}
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

_PLACE = {name: place for place, name in enumerate(ALL_UNITS)}


def in_order(units: Iterable[str]) -> tuple[str, ...]:
    """Return action units without repeats: the challenge's in its order, then others by number.

    Raises KeyError for a name that is none.
    """
    return tuple(sorted(set(units), key=lambda name: _PLACE[name]))


def join_units(units: Iterable[str]) -> str:
    """Return the answer that lists these action units, in the same order."""
    return SEPARATOR.join(in_order(units))

"""Action units of examples, as text and as numbers.

Does: read which units a label lists, and give people numbers.  Does not: know training or models.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Final

from mllm_affect.errors import UserError

MADE_UNITS: Final = (1, 2, 4, 5, 6, 12, 15, 26)
"""The action units that made faces can show."""

MADE_PARTICIPANT = "made-"
"""What names of people begin with who were drawn."""

UNITS_LABEL = "action_units"
"""The label of an example that lists its action units: `1,12`, or nothing for a calm face."""

UNKNOWN = "?"
"""In the column `units`: nobody coded this clip."""

LIST = re.compile(r"\s*(AU)?\d+\s*(,\s*(AU)?\d+\s*)*|\s*")


def unit_labels(text: str, units: Sequence[int]) -> list[int]:
    """Return 1 or 0 for each of `units`, -1 for all where the clip was not coded.

    Raises UserError `bad_units` for text that lists no action units.
    """
    if text == UNKNOWN:
        return [-1] * len(units)
    if not LIST.fullmatch(text):
        raise UserError(
            "bad_units", f"{text!r} lists no action units; write them as 1,12, or ? where unknown."
        )
    shown = {int(number) for number in re.findall(r"\d+", text)}
    return [int(unit in shown) for unit in units]


def subject_number(participant: str) -> int:
    """Return a number that is equal for equal names."""
    return zlib.crc32(participant.encode())

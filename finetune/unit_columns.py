"""Action units and people in training rows, for the losses of the evidence projector.

Does: turn the columns `units` and `participant` of a row into numbers.  Does not: know ms-swift.
"""

import re
import zlib
from collections.abc import Sequence

from mllm_affect.errors import UserError

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

"""Faces in the frames between two looks of the detector.

Does: decide whether two looks agree, place faces between them, look again where they do not.
Does not: detect (it is given a function that does) or follow people.

Two looks agree when each notable face of one overlaps a face of the other by half; then faces move
evenly in between.  Where they do not agree (somebody comes, goes or moves fast, a cut within the
video), the frame in the middle is looked at, and so on, down to neighbouring frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.detector import overlap
from mllm_affect.media.face.types import Face

NOTABLE_AREA = 0.25
"""A face with less than this share of the largest face's area asks for no further look."""
AGREEING_OVERLAP = 0.5
"""Intersection over union at which two faces in two looks are one that moved evenly."""

Look = Callable[[NDArray[np.uint8]], list[Face]]
"""Finds the faces of one picture."""


@dataclass
class Moment:
    """One frame: when it is shown, its picture, and its faces once they are known."""

    time_s: float
    picture_HWC: NDArray[np.uint8]
    faces: list[Face]
    looked: bool = False

    def look(self, detect: Look) -> None:
        """Let the detector look."""
        self.faces, self.looked = detect(self.picture_HWC), True


def fill(moments: Sequence[Moment], detect: Look, notable_score: float) -> None:
    """Give every moment its faces; the first and the last were looked at."""
    if len(moments) < 3:
        return
    before, after = moments[0], moments[-1]
    pairs = pair_up(before.faces, after.faces)
    if _agree(before.faces, after.faces, pairs, notable_score):
        for moment in moments[1:-1]:
            share = (moment.time_s - before.time_s) / (after.time_s - before.time_s)
            moment.faces = [_between(one, other, share) for one, other in pairs]
        return
    middle = len(moments) // 2
    moments[middle].look(detect)
    fill(moments[: middle + 1], detect, notable_score)
    fill(moments[middle:], detect, notable_score)


def pair_up(
    faces: Sequence[Face], others: Sequence[Face], least: float = AGREEING_OVERLAP
) -> list[tuple[Face, Face]]:
    """Pair faces with others, the greatest overlap first, each at most once."""
    possible = [(overlap(one, other), one, other) for one, other in product(faces, others)]
    pairs: list[tuple[Face, Face]] = []
    for much, one, other in sorted(possible, key=lambda entry: -entry[0]):
        if much >= least and all(one is not a and other is not b for a, b in pairs):
            pairs.append((one, other))
    return pairs


def _agree(
    before: Sequence[Face],
    after: Sequence[Face],
    pairs: Sequence[tuple[Face, Face]],
    notable_score: float,
) -> bool:
    everyone = [*before, *after]
    largest = max((face.area for face in everyone), default=0.0)
    paired = {id(face) for pair in pairs for face in pair}
    return all(
        id(face) in paired or face.score < notable_score or face.area < NOTABLE_AREA * largest
        for face in everyone
    )


def _between(one: Face, other: Face, share: float) -> Face:
    return Face(
        one.score + (other.score - one.score) * share,
        one.box_4 + (other.box_4 - one.box_4) * share,
        one.points_52 + (other.points_52 - one.points_52) * share,
    )

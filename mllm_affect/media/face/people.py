"""Following people through a segment and choosing the main one.

Does: give each face to a person by overlap, keep their faces and crops, weigh them.
Does not: detect, decode, or recognise anybody: a person is a track within one segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.between import pair_up
from mllm_affect.media.face.types import Face

SAME_OVERLAP = 0.3
"""Intersection over union at which a face continues a person's last one."""
MEMORY_S = 1.0
"""Somebody who was not seen for longer is somebody new."""


@dataclass
class Followed:
    """One person: the positions of the frames that show them, their faces, crops and weight."""

    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    crops: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    sharpness: list[float] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    weight: float = 0.0
    last_s: float = 0.0

    @property
    def best_score(self) -> float:
        """The highest score of all its faces."""
        return max(face.score for face in self.faces)

    @property
    def size(self) -> float:
        """The median of the shorter side of the face in pixels."""
        return median(face.size for face in self.faces)  # numpy's imports more when first called


class People:
    """Everybody in one segment.

    The main person has the greatest weight: the sum over all frames of the face's area times how
    central it is (1 in the middle of the picture, 1/2 in a corner).  So it is the largest, longest
    and most central face, in one number.
    """

    def __init__(self, width: int, height: int) -> None:
        self._middle_2 = np.array([width / 2, height / 2])
        self.all: list[Followed] = []

    def see(self, position: int, time_s: float, faces: Sequence[Face]) -> None:
        """Take the faces of the next frame."""
        last = {
            id(person.faces[-1]): person
            for person in self.all
            if time_s - person.last_s <= MEMORY_S
        }
        pairs = pair_up([person.faces[-1] for person in last.values()], faces, SAME_OVERLAP)
        continued = {id(new): last[id(old)] for old, new in pairs}
        for face in faces:
            person = continued.get(id(face))
            if person is None:
                person = Followed()
                self.all.append(person)
            person.frames.append(position)
            person.faces.append(face)
            person.last_s = time_s
            person.weight += face.area * self._centrality(face)

    def heaviest(self, count: int) -> list[Followed]:
        """Return the people with the greatest weights so far, the first of equals first."""
        return sorted(self.all, key=lambda person: -person.weight)[:count]

    def _centrality(self, face: Face) -> float:
        middle_2 = (face.box_4[:2] + face.box_4[2:]) / 2
        distance = np.hypot(*(middle_2 - self._middle_2)) / np.hypot(*self._middle_2)
        return float(1.0 - min(1.0, distance) / 2)

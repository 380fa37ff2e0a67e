"""Made faces with small, short movements, as folders of frames.

Does: draw a calm face on which action units rise and fall at known times, and write the frames
under the datasets' awkward names.  Does not: choose movements (see made_plan) or word questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from mllm_affect.data.made.acting import Pose, Span
from mllm_affect.data.made.drawing import Painter, draw_light
from mllm_affect.data.made.people import Split, draw_face
from mllm_affect.data.megc.vocabulary import ALL_UNITS

DRAWN_UNITS: Final = ("AU1", "AU2", "AU4", "AU5", "AU6", "AU12", "AU15", "AU26", "AU45")
"""The action units that made faces can show."""

QUALITY = 92
"""JPEG quality of frames."""


@dataclass(frozen=True)
class Movement:
    """Action units (names of the vocabulary) that move together, from onset to offset, seconds."""

    units: tuple[str, ...]
    fine: str
    onset_s: float
    apex_s: float
    offset_s: float
    strength: float

    @property
    def micro(self) -> bool:
        """Whether it lasts at most half a second."""
        return self.offset_s - self.onset_s <= 0.5

    def at(self, time_s: float) -> float:
        """Return how strong the movement is at a time."""
        hold_s = 0.2 * (self.offset_s - self.apex_s)
        return Span(
            self.onset_s, self.apex_s, self.apex_s + hold_s, self.offset_s, self.strength
        ).at(time_s)


@dataclass(frozen=True)
class MadeFace:
    """Who is filmed, how, and what the face does.  `rate_fps` frames a second, `seconds` long."""

    split: Split
    number: int
    light: int
    rate_fps: float
    seconds: float
    movements: tuple[Movement, ...]
    grey: bool = False
    first_number: int = 1

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return max(1, round(self.seconds * self.rate_fps))

    def frame_number(self, time_s: float) -> int:
        """Return the number in the name of the frame shown at a time."""
        return self.first_number + min(self.frames - 1, round(time_s * self.rate_fps))

    def pose(self, time_s: float) -> Pose:
        """Return the face at a time: calm but for its movements, swaying a little."""
        units: dict[str, float] = {}
        for movement in self.movements:
            for name in movement.units:
                unit = f"AU{ALL_UNITS[name]}"
                units[unit] = max(units.get(unit, 0.0), movement.at(time_s))
        sway = 0.06 * float(np.sin(0.7 * time_s + self.light % 7))
        eyelids = 1.0 - units.get("AU45", 0.0)
        return Pose(units, 0.0, 0.0, eyelids, turn=sway, tilt=0.5 * sway, jaw=0.05)


def write_frames(folder: Path, face: MadeFace, only: Sequence[int] | None = None) -> int:
    """Write a face's frames as `img<number>.jpg`, numbers unpadded; return how many.

    `only` names the places of the frames to write; None means all.
    """
    painter = Painter(
        draw_face(face.split, face.number), draw_light(np.random.default_rng(face.light))
    )
    places = range(face.frames) if only is None else only
    for place in places:
        picture = painter.draw(face.pose(place / face.rate_fps))
        form = cv2.COLOR_RGB2GRAY if face.grey else cv2.COLOR_RGB2BGR
        _, encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, form), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        name = f"img{face.first_number + place}.jpg"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded.tobytes())
    return len(places)


def unit_numbers(units: Sequence[str]) -> str:
    """Return action units as a coding sheet writes them: `4+15`."""
    return "+".join(str(ALL_UNITS[name]) for name in units)

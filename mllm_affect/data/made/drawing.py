"""Drawing a made face with OpenCV, with anti-aliased edges.

Does: one pose of one face under one light -> one RGB picture.  Does not: decide what the face
does or who it is.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.acting import Pose
from mllm_affect.data.made.people import Color, Face

SIDE = 128
"""Width and height of a drawn picture, in pixels."""

SHIFT = 4
SUBPIXELS = 1 << SHIFT

LID_ANGLES = tuple(0.1 + (math.pi - 0.2) * step / 6 for step in range(7))

Point = tuple[float, float]

MIDDLE: Point = (0.5 * SIDE, 0.52 * SIDE)
"""Pixel on which a face is centred."""


@dataclass(frozen=True)
class Light:
    """Background colour (RGB), overall gain, and how much brighter the right side is."""

    background: Color
    gain: float
    side: float


def draw_light(random: np.random.Generator) -> Light:
    """Draw the light of one clip."""
    red, green, blue = random.uniform(40, 215, 3)
    return Light(
        (float(red), float(green), float(blue)),
        gain=float(random.uniform(0.8, 1.12)),
        side=float(random.uniform(-0.18, 0.18)),
    )


class Painter:
    """Draws one face under one light; keeps what does not change between frames."""

    def __init__(self, face: Face, light: Light) -> None:
        self.face = face
        self.light = light
        ramp = np.linspace(1.0 - light.side, 1.0 + light.side, SIDE, dtype=np.float32)
        self._gain_HW1 = np.ascontiguousarray(
            np.broadcast_to((light.gain * ramp)[None, :, None], (SIDE, SIDE, 3))
        )

    def draw(self, pose: Pose) -> NDArray[np.uint8]:
        """Return the picture (SIDE, SIDE, 3) uint8 RGB of one pose."""
        face = self.face
        image = np.empty((SIDE, SIDE, 3), np.uint8)
        image[:] = np.array(self.light.background, np.uint8)
        frame = _Frame(image, face, pose)
        frame.oval((0.0, 1.95), (1.9, 0.75), face.clothes, fixed=True)
        frame.oval((0.0, 0.95), (0.42, 0.55), _shade(face.skin, 0.86), fixed=True)
        if face.long_hair:
            frame.oval((0.0, -0.25), (1.2, 1.15), face.hair)
        else:
            frame.oval((0.0, -0.47), (1.12, 0.92), face.hair)
        for side in (-1.0, 1.0):
            frame.oval((side * 1.0, 0.05), (0.13, 0.2), _shade(face.skin, 0.93))
        frame.oval((0.0, 0.0), (1.0, 1.0), face.skin)
        frame.oval((0.0, -0.98), (0.86, 0.98 - face.fringe), face.hair)
        self._eyes(frame, pose)
        self._brows(frame, pose)
        frame.line(
            [(0.02, -0.08), (0.09, -0.08 + face.nose_length), (-0.06, -0.06 + face.nose_length)],
            _shade(face.skin, 0.72), 0.018, forward=0.12,
        )  # fmt: skip
        self._mouth(frame, pose)
        lit = cv2.multiply(image, self._gain_HW1, dtype=cv2.CV_8U)
        return np.asarray(lit, dtype=np.uint8)

    def _eyes(self, frame: "_Frame", pose: Pose) -> None:
        face = self.face
        wide = 1.0 + 0.35 * pose.units.get("AU5", 0.0) - 0.25 * pose.units.get("AU6", 0.0)
        height = 0.17 * face.eye_size * wide * pose.eyelids
        width = 0.25 * face.eye_size
        for side in (-1.0, 1.0):
            center = (side * face.eye_gap, -0.14)
            if height > 0.03:
                frame.oval(center, (width, height), (244.0, 244.0, 240.0))
                reach = max(0.0, height - 0.05)
                iris = (
                    center[0] + 0.125 * pose.gaze_x,
                    center[1] + min(reach, max(-reach, 0.11 * pose.gaze_y)),
                )
                size = 0.12 * face.eye_size
                frame.oval(iris, (size, min(size, height)), face.iris)
                frame.oval(iris, (0.5 * size, 0.5 * min(size, height)), (12.0, 12.0, 14.0))
            lid = [
                (center[0] + width * math.cos(a), center[1] - height * math.sin(a))
                for a in LID_ANGLES
            ]
            frame.line(lid, _shade(face.skin, 0.45), 0.012)
            if face.glasses:
                frame.ring(center, (0.34, 0.29), (30.0, 30.0, 34.0), 0.012)
        if face.glasses:
            frame.line([(-face.eye_gap + 0.34, -0.16), (face.eye_gap - 0.34, -0.16)],
                       (30.0, 30.0, 34.0), 0.012)  # fmt: skip

    def _brows(self, frame: "_Frame", pose: Pose) -> None:
        face, units = self.face, pose.units
        inner_up = 0.17 * units.get("AU1", 0.0) - 0.15 * units.get("AU4", 0.0)
        outer_up = 0.17 * units.get("AU2", 0.0) - 0.03 * units.get("AU4", 0.0)
        together = 0.07 * units.get("AU4", 0.0)
        for side in (-1.0, 1.0):
            inner = (side * (face.eye_gap - 0.24 - together), -0.40 - inner_up)
            middle = (side * face.eye_gap, -0.47 - 0.5 * (inner_up + outer_up))
            outer = (side * (face.eye_gap + 0.26), -0.40 - outer_up)
            frame.line([inner, middle, outer], _shade(face.hair, 0.8), face.brow_thickness)

    def _mouth(self, frame: "_Frame", pose: Pose) -> None:
        face, units = self.face, pose.units
        smile, frown = units.get("AU12", 0.0), units.get("AU15", 0.0)
        opening = 0.10 * pose.jaw + 0.26 * units.get("AU26", 0.0)
        half = face.mouth_width * (1.0 + 0.28 * smile - 0.22 * units.get("AU26", 0.0))
        corner = 0.55 - 0.15 * smile + 0.13 * frown
        middle = 0.55 + 0.05 * smile - 0.06 * frown
        upper, lower = [], []
        for step in range(13):
            share = step / 6.0 - 1.0
            arc = corner + (middle - corner) * (1.0 - share**2)
            bulge = opening * math.sqrt(1.0 - share**2)
            upper.append((half * share, arc - 0.3 * bulge))
            lower.append((half * share, arc + 0.7 * bulge))
        outline = upper + lower[::-1]
        frame.polygon(outline, (70.0, 22.0, 28.0))
        frame.line(upper, face.lips, 0.026)
        frame.line(lower, face.lips, 0.034)


class _Frame:
    """Maps face coordinates (x, y in half widths and half heights) to pixels and paints."""

    def __init__(self, image: NDArray[np.uint8], face: Face, pose: Pose) -> None:
        self.image = image
        self.wide, self.high = face.width * SIDE, face.height * SIDE
        self.angle = 0.10 * pose.tilt
        self.turn = pose.turn

    def place(
        self, points: Iterable[Point], forward: float = 0.0, fixed: bool = False
    ) -> list[Point]:
        """Return pixel coordinates; a turned head moves what lies forward (middle of the face)."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        placed = []
        for x, y in points:
            if fixed:
                placed.append((x * self.wide + MIDDLE[0], y * self.high + MIDDLE[1]))
                continue
            depth = math.sqrt(max(0.0, 1.0 - x * x))
            across = (x + 0.20 * self.turn * (depth + forward)) * self.wide
            down = y * self.high
            placed.append(
                (
                    cosine * across - sine * down + MIDDLE[0],
                    sine * across + cosine * down + MIDDLE[1],
                )
            )
        return placed

    def oval(self, center: Point, radii: Point, rgb: Color, fixed: bool = False) -> None:
        """Fill an ellipse; `fixed` ones stay when the head turns."""
        self._ellipse(center, radii, rgb, thickness=-1, fixed=fixed)

    def ring(self, center: Point, radii: Point, rgb: Color, width: float) -> None:
        """Draw the outline of an ellipse."""
        self._ellipse(center, radii, rgb, thickness=_pixels(width), fixed=False)

    def line(self, points: Iterable[Point], rgb: Color, width: float, forward: float = 0.0) -> None:
        """Draw a line through points."""
        placed = _subpixels(self.place(points, forward=forward))
        cv2.polylines(self.image, [placed], False, rgb, _pixels(width), cv2.LINE_AA, SHIFT)

    def polygon(self, points: Iterable[Point], rgb: Color) -> None:
        """Fill an outline."""
        cv2.fillPoly(self.image, [_subpixels(self.place(points))], rgb, cv2.LINE_AA, SHIFT)

    def _ellipse(
        self, center: Point, radii: Point, rgb: Color, thickness: int, fixed: bool
    ) -> None:
        ((x, y),) = self.place([center], fixed=fixed)
        cv2.ellipse(
            self.image,
            (round(x * SUBPIXELS), round(y * SUBPIXELS)),
            (round(radii[0] * self.wide * SUBPIXELS), round(radii[1] * self.high * SUBPIXELS)),
            0.0 if fixed else math.degrees(self.angle),
            0.0,
            360.0,
            rgb,
            thickness,
            cv2.LINE_AA,
            SHIFT,
        )


def _subpixels(points: list[Point]) -> NDArray[np.int32]:
    return np.array(
        [(round(x * SUBPIXELS), round(y * SUBPIXELS)) for x, y in points], dtype=np.int32
    )


def _pixels(width: float) -> int:
    return max(1, round(width * SIDE))


def _shade(rgb: Color, factor: float) -> Color:
    return rgb[0] * factor, rgb[1] * factor, rgb[2] * factor

"""Who is in a made clip: the fixed parameters of a face and of a voice.

Does: draw them from a split's own region of the parameter space, so that no held-out face or
voice can occur in training.  Does not: draw pictures or sound.

The regions form a checkerboard: skin tone and face width (for faces), pitch and formant scale
(for voices) are cut into cells, and a split owns the cells of one colour.  A margin is kept
clear around every cell's edge.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")

CELLS = 6
"""Cells along each of the two axes of a checkerboard."""

MARGIN = 0.1
"""Share of a cell that stays empty at each of its edges."""

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Face:
    """What stays the same about a face.  Lengths are shares of the picture's side; RGB 0 to 255."""

    tone: float
    width: float
    height: float
    eye_gap: float
    eye_size: float
    brow_thickness: float
    mouth_width: float
    nose_length: float
    fringe: float
    long_hair: bool
    glasses: bool
    skin: Color
    hair: Color
    iris: Color
    lips: Color
    clothes: Color


@dataclass(frozen=True)
class Voice:
    """What stays the same about a voice.  `formant_scale` is relative to a middle vocal tract."""

    pitch_hz: float
    formant_scale: float
    syllables_per_s: float
    breath: float
    liveliness: float


def draw_face(split: Split, number: int) -> Face:
    """Return face `number` of a split; the same on every call."""
    random = np.random.default_rng((SPLITS.index(split), number, 1))
    tone, breadth = checkerboard_point(random, split)
    dark, light = np.array((92.0, 58.0, 40.0)), np.array((246.0, 212.0, 184.0))
    skin = dark + (light - dark) * tone + random.uniform(-6, 6, 3)
    hair = HAIR[int(random.integers(len(HAIR)))] + random.uniform(-14, 14, 3)
    iris = IRIS[int(random.integers(len(IRIS)))] + random.uniform(-10, 10, 3)
    lips = skin * np.array((0.86, 0.56, 0.56)) + random.uniform(-8, 8, 3)
    return Face(
        tone=tone,
        width=0.32 + 0.07 * breadth,
        height=float(random.uniform(0.40, 0.45)),
        eye_gap=float(random.uniform(0.40, 0.48)),
        eye_size=float(random.uniform(0.92, 1.12)),
        brow_thickness=float(random.uniform(0.016, 0.032)),
        mouth_width=float(random.uniform(0.36, 0.48)),
        nose_length=float(random.uniform(0.22, 0.34)),
        fringe=float(random.uniform(0.50, 0.70)),
        long_hair=bool(random.random() < 0.5),
        glasses=bool(random.random() < 0.3),
        skin=color(skin),
        hair=color(hair),
        iris=color(iris),
        lips=color(lips),
        clothes=color(random.uniform(30, 220, 3)),
    )


def draw_voice(split: Split, number: int) -> Voice:
    """Return voice `number` of a split; the same on every call."""
    random = np.random.default_rng((SPLITS.index(split), number, 2))
    pitch, tract = checkerboard_point(random, split)
    return Voice(
        pitch_hz=float(85.0 * (255.0 / 85.0) ** pitch),
        formant_scale=0.86 + 0.32 * tract,
        syllables_per_s=float(random.uniform(4.2, 5.8)),
        breath=float(random.uniform(0.02, 0.10)),
        liveliness=float(random.uniform(0.06, 0.16)),
    )


def checkerboard_point(random: np.random.Generator, split: Split) -> tuple[float, float]:
    """Return a point of the unit square inside a cell whose colour belongs to `split`."""
    row = int(random.integers(CELLS))
    column = 2 * int(random.integers(CELLS // 2)) + (row + SPLITS.index(split)) % 2
    inside = random.uniform(MARGIN, 1.0 - MARGIN, 2)
    return float((row + inside[0]) / CELLS), float((column + inside[1]) / CELLS)


def color(rgb: np.ndarray) -> Color:
    """Return an RGB triple cut to the range 0 to 255."""
    red, green, blue = np.clip(rgb, 0.0, 255.0)
    return float(red), float(green), float(blue)


HAIR = np.array(
    ((34, 26, 22), (84, 54, 32), (138, 96, 54), (196, 158, 96), (150, 70, 40), (128, 128, 132)),
    dtype=np.float64,
)
IRIS = np.array(((70, 46, 28), (60, 92, 130), (74, 104, 66), (40, 40, 44)), dtype=np.float64)

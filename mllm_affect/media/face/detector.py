"""Finding faces in one picture.

Does: run CenterFace and read its maps: where faces are, their boxes and five landmarks.
Does not: follow faces or know videos.

CenterFace (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point",
arXiv:1911.03599) describes a face by its centre.  On a grid of one cell for 4 x 4 pixels it gives a
heat map, the logarithm of the box's size in cells, the offset of the centre within its cell, and
landmarks relative to the box.
"""

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.types import Face
from mllm_affect.media.weights import FACE_DETECTOR, load

CELL = 4
"""Pixels of one cell of the maps, along each side."""
STEP = 32
"""Both sides of the network's input are multiples of this many pixels."""
OVERLAP = 0.3
"""Of two boxes that overlap more than this (intersection over union), the better one stays."""
MOST = 16
"""At most so many faces are returned."""
MAPS = ("537", "538", "539", "540")
"""The network's outputs by name: heat, size, offset, landmarks."""

_per_thread = threading.local()


def detect(picture_HWC: NDArray[np.uint8], side: int, min_score: float) -> list[Face]:
    """Return the faces of an RGB picture, best first, in the picture's pixels.

    The picture is scaled so that its longer side is about `side` pixels (never enlarged by more
    than the next multiple of 32).  Raises UserError where the weights are not installed.
    """
    height, width = picture_HWC.shape[:2]
    wide, high = input_size(width, height, side)
    small_HWC = cv2.resize(picture_HWC, (wide, high), interpolation=cv2.INTER_AREA)
    network = prepare()
    network.setInput(cv2.dnn.blobFromImage(small_HWC))
    heat, size, offset, points = network.forward(MAPS)
    faces = read_maps(heat[0, 0], size[0], offset[0], points[0], min_score)
    scale_2 = np.array([width / wide, height / high])
    return [
        Face(face.score, face.box_4 * np.tile(scale_2, 2), face.points_52 * scale_2)
        for face in faces
    ]


def input_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the network's (width, height) for a picture of this size: multiples of 32."""
    scale = min(1.0, side / max(width, height))
    wide, high = (max(1, round(length * scale / STEP)) * STEP for length in (width, height))
    return wide, high


def read_maps(
    heat_HW: NDArray[np.float32],
    size_2HW: NDArray[np.float32],
    offset_2HW: NDArray[np.float32],
    points_10HW: NDArray[np.float32],
    min_score: float,
) -> list[Face]:
    """Return the faces that the maps describe, best first, in pixels of the network's input.

    Of each pair of numbers the first is down and the second across.
    """
    highest_HW = cv2.dilate(heat_HW, np.ones((3, 3), dtype=np.uint8))
    rows, columns = np.nonzero((heat_HW >= highest_HW) & (heat_HW >= min_score))
    best_first = np.argsort(-heat_HW[rows, columns], kind="stable")[:MOST]
    faces: list[Face] = []
    for row, column in zip(rows[best_first], columns[best_first], strict=True):
        down, across = np.exp(size_2HW[:, row, column].astype(np.float64)) * CELL
        middle_y = (row + 0.5 + offset_2HW[0, row, column]) * CELL
        middle_x = (column + 0.5 + offset_2HW[1, row, column]) * CELL
        left, top = middle_x - across / 2, middle_y - down / 2
        relative_52 = points_10HW[:, row, column].astype(np.float64).reshape(5, 2)[:, ::-1]
        face = Face(
            float(heat_HW[row, column]),
            np.array([left, top, left + across, top + down]),
            relative_52 * [across, down] + [left, top],
        )
        if all(overlap(face, better) <= OVERLAP for better in faces):
            faces.append(face)
    return faces


def overlap(one: Face, other: Face) -> float:
    """Return the intersection over union of two boxes."""
    low_2 = np.maximum(one.box_4[:2], other.box_4[:2])
    high_2 = np.minimum(one.box_4[2:], other.box_4[2:])
    common = float(np.prod(np.maximum(0.0, high_2 - low_2)))
    union = one.area + other.area - common
    return common / union if union > 0 else 0.0


def prepare() -> Any:
    """Return this thread's network, loading it once: it has state, so no two threads share one."""
    if not hasattr(_per_thread, "network"):
        content = np.frombuffer(load(FACE_DETECTOR), dtype=np.uint8)
        _per_thread.network = cv2.dnn.readNetFromONNX(content)
    return _per_thread.network

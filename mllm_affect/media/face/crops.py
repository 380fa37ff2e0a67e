"""Cutting a face out so that its landmarks always come to the same place.

Does: fit the similarity transform, cut, measure sharpness and brightness of a crop.
Does not: find faces.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

TEMPLATE_52 = np.array([[0.34, 0.42], [0.66, 0.42], [0.50, 0.59], [0.37, 0.74], [0.63, 0.74]])
"""Where the LANDMARKS come to, as shares of the crop's side; leaves room for brows and chin."""


def similarity(points_52: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the 2x3 matrix that brings landmarks to the template in a crop of `size` pixels.

    A turn, a scale and a shift, fitted to all five points by least squares; as complex numbers,
    to = a * from + b, so that a face is never mirrored or sheared.
    """
    source_5 = points_52[:, 0] + 1j * points_52[:, 1]
    target_5 = (TEMPLATE_52[:, 0] + 1j * TEMPLATE_52[:, 1]) * size
    centred_5, wanted_5 = source_5 - source_5.mean(), target_5 - target_5.mean()
    spread = max(float(np.sum(np.abs(centred_5) ** 2)), 1e-9)
    turn = np.sum(np.conj(centred_5) * wanted_5) / spread
    shift = target_5.mean() - turn * source_5.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def cut_out(
    picture_HWC: NDArray[np.uint8], points_52: NDArray[np.float64], size: int
) -> NDArray[np.uint8]:
    """Return the aligned face, uint8 RGB of `size` x `size`; black beyond the picture's border."""
    matrix_23 = similarity(points_52, size)
    zoom = float(np.hypot(matrix_23[0, 0], matrix_23[1, 0]))
    # Sampling every second pixel or fewer would alias: shrink the neighbourhood by area first.
    factor = int(1 / zoom) if zoom > 0 else 1
    if factor >= 2:
        picture_HWC, matrix_23 = _shrunk(picture_HWC, matrix_23, size, factor)
    # OpenCV counts from the first pixel's middle, landmarks from its corner.
    half_2 = np.array([0.5, 0.5])
    matrix_23 = matrix_23.copy()
    matrix_23[:, 2] += matrix_23[:, :2] @ half_2 - half_2
    cut_HWC = cv2.warpAffine(picture_HWC, matrix_23, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(cut_HWC, dtype=np.uint8)


def sharpness(crop_HWC: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian of its grey levels."""
    return float(cv2.Laplacian(_grey(crop_HWC), cv2.CV_64F).var())


def brightness(crop_HWC: NDArray[np.uint8]) -> float:
    """Return the mean grey level, 0 to 255."""
    return float(_grey(crop_HWC).mean())


def _grey(crop_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(crop_HWC, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _shrunk(
    picture_HWC: NDArray[np.uint8], matrix_23: NDArray[np.float64], size: int, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the picture that the crop shows, shrunk, and the matrix for it."""
    corners_42 = np.array([[0, 0], [size, 0], [0, size], [size, size]], dtype=np.float64)
    shown_42 = np.linalg.solve(matrix_23[:, :2], (corners_42 - matrix_23[:, 2]).T).T
    height, width = picture_HWC.shape[:2]
    left, top = (max(0, int(low) - factor) for low in shown_42.min(axis=0))
    right, bottom = (int(high) + 2 * factor for high in shown_42.max(axis=0))
    part_HWC = picture_HWC[top : min(bottom, height), left : min(right, width)]
    high, wide = (length // factor for length in part_HWC.shape[:2])
    if min(high, wide) < 1:
        return picture_HWC, matrix_23
    part_HWC = part_HWC[: high * factor, : wide * factor]
    small_HWC = cv2.resize(part_HWC, (wide, high), interpolation=cv2.INTER_AREA)
    moved_23 = matrix_23.copy()
    moved_23[:, 2] += matrix_23[:, :2] @ np.array([left, top], dtype=np.float64)
    moved_23[:, :2] *= factor
    return np.asarray(small_HWC, dtype=np.uint8), moved_23

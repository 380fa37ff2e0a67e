"""Pictures are scaled as an exact area average would be, whatever their colours are stored as."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.decoding.scaling import HALF_COLOUR, scaled

MATRICES = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114)}
"""Shares of red and blue in brightness (ITU-R BT.709 and BT.601)."""


def picture_of(folder: Path, form: str, matrix: str, full: bool) -> VideoFrame:
    """A smooth colourful picture of 640x360 in this format, marked as what it is."""
    path = folder / f"{form}-{matrix}-{full}.mkv"
    kind = "pc" if full else "tv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x360:r=1:d=1,gblur=sigma=24,format=gbrp",
               "-vf", f"scale=out_color_matrix={matrix}:out_range={kind},format={form}",
               "-c:v", "rawvideo", str(path))  # fmt: skip
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    picture.colorspace = {"bt709": 1, "smpte170m": 6}[matrix]
    picture.color_range = 2 if full else 1
    return picture


def averaging(to: int, size: int) -> NDArray[np.float64]:
    """The matrix that averages `size` pixels to `to`, each over what it covers."""
    edges = np.arange(to + 1) * (size / to)
    begin, end = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)
    covered = np.clip(np.minimum(end, pixel + 1) - np.maximum(begin, pixel), 0.0, None)
    return np.asarray(covered / (size / to))


def exact(
    picture: VideoFrame, matrix: str, full: bool, size: tuple[int, int]
) -> NDArray[np.float64]:
    """The area average of brightness and colours, then as red, green and blue, HWC."""
    width, height = size
    planes = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size) for p in picture.planes]
    if picture.format.name == "nv12":
        planes = [planes[0], planes[1][:, 0:640:2], planes[1][:, 1:640:2]]
    sizes = ((360, 640), (180, 320), (180, 320))
    y_HW, u_HW, v_HW = (
        averaging(height, high) @ plane[:, :wide].astype(np.float64) @ averaging(width, wide).T
        for plane, (high, wide) in zip(planes, sizes, strict=True)
    )
    y_HW, scale = (y_HW / 255, 1 / 255) if full else ((y_HW - 16) / 219, 1 / 224)
    u_HW, v_HW = (u_HW - 128) * scale, (v_HW - 128) * scale
    red, blue = MATRICES[matrix]
    r_HW, b_HW = y_HW + 2 * (1 - red) * v_HW, y_HW + 2 * (1 - blue) * u_HW
    g_HW = (y_HW - red * r_HW - blue * b_HW) / (1 - red - blue)
    return np.asarray(np.clip(np.stack([r_HW, g_HW, b_HW], -1), 0, 1) * 255)


def apart(picture: VideoFrame, exact_HWC: NDArray[np.float64]) -> float:
    return float(np.abs(picture.to_ndarray() - exact_HWC).mean())


@pytest.mark.parametrize("size", [(448, 256), (640, 352)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", list(MATRICES))
@pytest.mark.parametrize("form", sorted(HALF_COLOUR - {"yuvj420p"}))
def test_a_picture_is_near_its_exact_area_average(
    form: str, matrix: str, full: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    picture = picture_of(tmp_path, form, matrix, full)
    assert picture.format.name == form
    exact_HWC = exact(picture, matrix, full, size)
    ours = apart(scaled(picture, *size, "rgb24"), exact_HWC)
    assert ours < 1.6
    once = apart(picture.reformat(*size, "rgb24", interpolation="AREA"), exact_HWC)
    assert ours < once + (0.25 if full else 0.0)


def test_full_range_of_the_older_kind_is_told_from_limited(tmp_path: Path) -> None:
    path = tmp_path / "photos.avi"
    run_ffmpeg("-f", "lavfi", "-i", "color=c=white:s=640x360:r=1:d=1", "-c:v", "mjpeg",
               "-pix_fmt", "yuvj420p", str(path))  # fmt: skip
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    assert picture.format.name == "yuvj420p"
    assert scaled(picture, 448, 256, "rgb24").to_ndarray().min() >= 253

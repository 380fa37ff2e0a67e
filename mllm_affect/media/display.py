"""How decoded pictures become pictures as shown: the one place that decides it.

Does: read orientation, mirroring, pixel aspect and colour transfer from a file; bring a decoded
picture to any size as shown, or say by which ffmpeg filters that is done.  Does not: decode, choose
sizes, or map colours itself (see tone_mapping).

What `ffmpeg -i FILE -frames:v 1` shows is right, but for what ffmpeg leaves to players: pixels that
are not square are widened or heightened to square ones (never shrunk, as browsers do), and high
dynamic range is mapped to the standard range.
"""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.sidedata import sidedata
from numpy.typing import NDArray

from mllm_affect.media import tone_mapping
from mllm_affect.media.decoding.scaling import scaled
from mllm_affect.media.warnings import Warnings, warn

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from mllm_affect.media.source import Source

MATRIX = struct.Struct("=9i")
"""Side data of a frame: [a b u, c d v, x y w]; x' = ax + cy, y' = bx + dy, y pointing down."""

TILTED_DEGREES = 1.0
"""Orientations that are further from a quarter turn are told about; ffmpeg draws the same line."""

WIDEST_PIXEL = 4
"""Pixels this many times as wide as high, or as high as wide, are the most that is believed.
Anamorphic lenses and broadcasts stay below 2; what is beyond is a damaged header."""

SAME_SHAPE = 0.015
"""Pictures whose aspect differs by no more than this share fill the same frame: coders round sides
to multiples of 2, 8 or 16."""


@dataclass(frozen=True)
class Shown:
    """How a file's pictures are shown; see Source for the fields."""

    width: int
    height: int
    rotation: int
    mirrored: bool
    pixel_aspect: float
    hdr: str | None
    warnings: Warnings


def read_display(first: "VideoFrame", stream: "VideoStream") -> Shown:
    """Return how a file is shown, from its first picture and what its headers state."""
    rotation, mirrored, tilt = _orientation(first)
    aspect, believed = _pixel_aspect(stream)
    hdr = tone_mapping.transfer_of(first.color_trc)
    warnings = []
    if tilt > TILTED_DEGREES:
        warnings.append(warn("tilted", degrees=round(tilt)))
    if not believed:
        warnings.append(warn("pixel_aspect"))
    if hdr is not None:
        warnings.append(warn("hdr", kind=tone_mapping.NAMES[hdr]))
    width, height = _square(first.width, first.height, aspect)
    if rotation in (90, 270):
        width, height = height, width
    return Shown(round(width), round(height), rotation, mirrored, aspect, hdr, tuple(warnings))


def shown(picture: "VideoFrame", source: "Source", width: int, height: int) -> NDArray[np.uint8]:
    """Return a decoded picture at a size as shown, HWC uint8 RGB.

    Where its aspect is not the source's, because the size changed midway, it is fitted in with
    black borders.  It may lie in the picture's own memory: to be read or copied, never written.
    """
    wide, high = (height, width) if source.rotation in (90, 270) else (width, height)
    if fills(picture, source):
        coded_HWC = _coloured(picture, source, wide, high)
    else:
        inner_wide, inner_high = _fitted(picture, source, wide, high)
        left, top = (wide - inner_wide) // 2, (high - inner_high) // 2
        coded_HWC = np.zeros((high, wide, 3), dtype=np.uint8)
        inner_HWC = _coloured(picture, source, inner_wide, inner_high)
        coded_HWC[top : top + inner_high, left : left + inner_wide] = inner_HWC
    if source.mirrored:
        coded_HWC = coded_HWC[:, ::-1]
    return np.rot90(coded_HWC, k=source.rotation // 90)


def fills(picture: "VideoFrame", source: "Source") -> bool:
    """Whether a picture has the source's aspect, so that it is shown without borders."""
    wide, high = _unturned(source)
    if (picture.width, picture.height) == (wide, high):
        return True
    own_wide, own_high = _square(picture.width, picture.height, source.pixel_aspect)
    return abs(own_wide * high - own_high * wide) <= SAME_SHAPE * own_wide * high


class Borders:
    """Notes whether pictures of the open segment are shown with borders."""

    def __init__(self, source: "Source") -> None:
        self._source, self._any = source, False

    def see(self, picture: "VideoFrame") -> None:
        """Take the next picture of the segment."""
        if not fills(picture, self._source):
            self._any = True

    def end(self) -> Warnings:
        """Return the warnings about the segment, and begin the next."""
        noted, self._any = self._any, False
        if not noted:
            return ()
        return (warn("borders", width=self._source.width, height=self._source.height),)


def ffmpeg_filters(source: "Source") -> list[tuple[str, dict[str, Any]]]:
    """Return the filters, with their options, that show pictures as `shown` does at full size.

    Odd sides are made even by one more line of black.

    ffmpeg must neither turn pictures by itself (`-noautorotate`) nor begin its filters anew where
    the size changes (`-reinit_filter 0`).
    """
    wide, high = _unturned(source)
    # As in _square and _fitted.
    across, down = max(1.0, source.pixel_aspect), max(1.0, 1 / source.pixel_aspect)
    ratio = f"min({wide}/(iw*{across}),{high}/(ih*{down}))"
    filled = f"lte(abs(iw*{across}*{high}-ih*{down}*{wide}),{SAME_SHAPE}*iw*{across}*{high})"
    size = {
        "width": f"if({filled},{wide},max(1,round(iw*{across}*{ratio})))",
        "height": f"if({filled},{high},max(1,round(ih*{down}*{ratio})))",
        "eval": "frame",
    }
    # H.264 with 4:2:0 colour wants even sides.
    even_wide, even_high = wide + wide % 2, high + high % 2
    borders = {
        "width": even_wide, "height": even_high, "x": f"floor(({wide}-iw)/2)",
        "y": f"floor(({high}-ih)/2)", "eval": "frame",
    }  # fmt: skip
    filters: list[tuple[str, dict[str, Any]]] = [("scale", size), ("pad", borders)]
    if source.hdr is not None:
        filters += tone_mapping.ffmpeg_filters(source.hdr)
    if source.mirrored:
        filters.append(("hflip", {}))
    if source.rotation == 180:
        filters += [("hflip", {}), ("vflip", {})]
    elif source.rotation:
        filters.append(("transpose", {"dir": "cclock" if source.rotation == 90 else "clock"}))
    # The matrix was followed here: in the file that is written it would turn pictures once more.
    followed = ("sidedata", {"mode": "delete", "type": "DISPLAYMATRIX"})
    return [*filters, ("setsar", {"sar": 1}), followed]


def _coloured(picture: "VideoFrame", source: "Source", wide: int, high: int) -> NDArray[np.uint8]:
    """Return a picture scaled, neither turned nor mirrored, in the standard range."""
    if source.hdr is None:
        return _rows(scaled(picture, wide, high, "rgb24"), np.uint8)
    return tone_mapping.to_standard(
        _rows(scaled(picture, wide, high, "rgb48le"), np.uint16), source.hdr
    )


def _rows(picture: "VideoFrame", kind: Any) -> NDArray[Any]:
    """Return a packed RGB picture as HWC, in its own memory."""
    lines_HL = np.frombuffer(memoryview(picture.planes[0]), dtype=kind).reshape(picture.height, -1)
    return lines_HL[:, : 3 * picture.width].reshape(picture.height, picture.width, 3)


def _unturned(source: "Source") -> tuple[int, int]:
    turned = source.rotation in (90, 270)
    return (source.height, source.width) if turned else (source.width, source.height)


def _square(width: int, height: int, aspect: float) -> tuple[float, float]:
    """Return the sides in square pixels of a coded picture: one of them may grow."""
    return (width * aspect, height) if aspect >= 1 else (width, height / aspect)


def _fitted(picture: "VideoFrame", source: "Source", wide: int, high: int) -> tuple[int, int]:
    """Return the size of a picture of another aspect within one of wide x high."""
    full_wide, full_high = _unturned(source)
    own_wide, own_high = _square(picture.width, picture.height, source.pixel_aspect)
    ratio = min(full_wide / own_wide, full_high / own_high)
    return (
        min(wide, max(1, round(own_wide * ratio * wide / full_wide))),
        min(high, max(1, round(own_high * ratio * high / full_high))),
    )


def _orientation(picture: "VideoFrame") -> tuple[int, bool, float]:
    """Return degrees to the left (0, 90, 180, 270), whether it is mirrored before, and the tilt.

    The tilt is what the nearest quarter turn differs from the stated angle, in degrees.
    """
    content = _matrix(picture)
    if len(content) != MATRIX.size:
        return 0, False, 0.0
    a, b, _, c, d, *_ = MATRIX.unpack(content)
    area = a * d - b * c
    if not area:  # no picture would be left
        return 0, False, 0.0
    mirrored = area < 0
    angle = math.degrees(math.atan2(b, -a) if mirrored else math.atan2(-b, a))
    quarters = round(angle / 90)
    return quarters % 4 * 90, mirrored, abs(angle - 90 * quarters)


def _matrix(picture: "VideoFrame") -> bytes:
    """Return the display matrix of a picture, empty where it has none."""
    try:
        beside = picture.side_data
    except ValueError:  # a kind that PyAV does not know, such as the EXIF of a photo
        beside = _without_unknown(picture).side_data
    stated: Any = beside.get("DISPLAYMATRIX")
    return bytes(stated or b"")


def _without_unknown(picture: "VideoFrame") -> "VideoFrame":
    """Return a picture without the side data that PyAV does not know."""
    first = len(sidedata.Type)  # they are numbered from 0
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format,
            time_base=picture.time_base,
        ),
        *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in range(first, first + 16)),
        graph.add("buffersink"),
    ).configure()  # fmt: skip
    graph.push(picture)
    return cast("VideoFrame", graph.pull())


def _pixel_aspect(stream: "VideoStream") -> tuple[float, bool]:
    """Return a pixel's width over its height, and whether what the file states can be true."""
    stated = stream.sample_aspect_ratio or Fraction(1)
    if stated <= 0:
        return 1.0, True
    believed = Fraction(1, WIDEST_PIXEL) <= stated <= WIDEST_PIXEL
    return (float(stated), True) if believed else (1.0, False)

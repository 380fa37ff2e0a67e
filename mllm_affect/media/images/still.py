"""One image file as its bytes: what kind it is, how large, and as what a video can hold it.

Does: read the headers of PNG, JPEG and BMP, in Python alone; rewrite a BMP as PNG, without loss.
Does not: decode PNG or JPEG (the video decoder does, where strangers' files are decoded).
"""

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.refusals import MediaError

PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers before which the picture's size stands (ITU-T T.81, table B.1)."""

STANDS_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a length."""

UNCOMPRESSED_BMP = frozenset({0, 3})


@dataclass(frozen=True)
class Still:
    """`codec` is FFmpeg's name, `content` what a packet of it holds; width, height in pixels."""

    codec: str
    width: int
    height: int
    content: bytes


def read_still(content: bytes, name: str) -> Still:
    """Return an image from the bytes of its file.

    Raises UserError `unsupported_image` for what is no PNG, JPEG or uncompressed BMP.
    """
    try:
        if content.startswith(PNG_BEGINS):
            width, height = struct.unpack_from(">II", content, 16)
            return Still("png", width, height, content)
        if content.startswith(b"\xff\xd8"):
            width, height = _jpeg_size(content)
            return Still("mjpeg", width, height, content)
        if content.startswith(b"BM"):
            picture_HWC = _bmp(content)
            height, width, _ = picture_HWC.shape
            return Still("png", width, height, _as_png(picture_HWC))
    except (struct.error, ValueError, IndexError) as error:
        raise MediaError("unsupported_image", name) from error
    raise MediaError("unsupported_image", name)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    place = 2
    while True:
        if content[place] != 0xFF:
            raise ValueError("no marker")
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker in STANDS_ALONE:
            place += 2
        elif marker in FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", content, place + 5)
            return width, height
        else:
            place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])


def _bmp(content: bytes) -> NDArray[np.uint8]:
    """Return HWC uint8 RGB of an uncompressed BMP with 8, 24 or 32 bits a pixel.

    Rows are padded to four bytes and stand bottom-up unless the height is negative; pixels are
    BGR, or numbers of a palette (Microsoft, BITMAPINFOHEADER).
    """
    (begins,) = struct.unpack_from("<I", content, 10)
    header, width, stated, _, bits, compression = struct.unpack_from("<IiiHHI", content, 14)
    if bits not in (8, 24, 32) or compression not in UNCOMPRESSED_BMP or width < 1 or not stated:
        raise ValueError("another kind of BMP")
    height, step = abs(stated), bits // 8
    row_bytes = (width * step + 3) // 4 * 4
    rows = np.frombuffer(content, np.uint8, height * row_bytes, begins).reshape(height, row_bytes)
    pixels_HWC = rows[:, : width * step].reshape(height, width, step)
    if stated > 0:
        pixels_HWC = pixels_HWC[::-1]
    if bits == 8:
        palette = np.frombuffer(content, np.uint8, begins - 14 - header, 14 + header)
        colours_N4 = np.zeros((256, 4), dtype=np.uint8)
        colours_N4[: len(palette) // 4] = palette[: len(palette) // 4 * 4].reshape(-1, 4)[:256]
        pixels_HWC = colours_N4[pixels_HWC[:, :, 0]]
    return np.ascontiguousarray(pixels_HWC[:, :, 2::-1])


def _as_png(picture_HWC: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    written = BytesIO()
    # Level 1: any level is lossless, and the default takes four times as long.
    Image.fromarray(picture_HWC).save(written, "PNG", compress_level=1)
    return written.getvalue()

"""Scaling decoded pictures.

Does: scale and convert by swscale, with one scaler for all pictures of a kind.  Does not: turn or
crop.  PyAV's `picture.reformat` makes a scaler, with threads of its own, for every picture.

A picture with halved colour is scaled as it is, to halved columns of colour, and then converted: in
one step swscale takes more than twice as long, and where the range of brightness is limited, as in
nearly all videos, its pictures are darker than an exact area average (tests/media/test_scaling.py).
"""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

HALF_COLOUR = frozenset({"yuv420p", "yuvj420p", "nv12"})
"""Formats of eight bits with one colour for four pixels: what nearly all videos have."""
KINDS = 8
"""How many scalers a thread keeps: the model's frames, thumbnails, motion, a detector's input."""


class _Scalers(threading.local):
    """A scaler holds the state of the picture that it is at: each thread has its own."""

    def __init__(self) -> None:
        self.of = lru_cache(KINDS)(lambda *_kind: VideoReformatter())


_SCALERS = _Scalers()


def scaled(picture: "VideoFrame", width: int, height: int, form: str) -> "VideoFrame":
    """Return the picture at this size in pixels and FFmpeg pixel format, by area averaging."""
    resized = (picture.width, picture.height) != (width, height) and width % 2 == 0
    if form == "rgb24" and picture.format.name in HALF_COLOUR and resized:
        picture = _in_one_step(picture, width, height, "yuv422p")
    return _in_one_step(picture, width, height, form)


def _in_one_step(picture: "VideoFrame", width: int, height: int, form: str) -> "VideoFrame":
    kind = (picture.width, picture.height, picture.format.name, width, height, form)
    return _SCALERS.of(*kind).reformat(
        picture, width=width, height=height, format=form, interpolation="AREA", threads=1
    )

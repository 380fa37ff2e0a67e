"""Scaling decoded pictures.

Does: scale and convert by swscale, with one scaler for all pictures of a kind.  Does not: turn or
crop.  PyAV's `picture.reformat` makes a scaler, with threads of its own, for every picture.
"""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

KINDS = 4
"""How many scalers a thread keeps: the model's frames, thumbnails, motion, a detector's input."""


class _Scalers(threading.local):
    """A scaler holds the state of the picture that it is at: each thread has its own."""

    def __init__(self) -> None:
        self.of = lru_cache(KINDS)(lambda *_kind: VideoReformatter())


_SCALERS = _Scalers()


def scaled(picture: "VideoFrame", width: int, height: int, form: str) -> "VideoFrame":
    """Return the picture at this size in pixels and FFmpeg pixel format, by area averaging."""
    kind = (picture.width, picture.height, picture.format.name, width, height, form)
    return _SCALERS.of(*kind).reformat(
        picture, width=width, height=height, format=form, interpolation="AREA", threads=1
    )

"""What the model sees of a frame: the whole picture, or the face in it.

Does: bring frames of one segment to the model's size, either way.  Does not: choose frames.

A face is looked for in the segment's first frame that is asked for, and cut out of all of them by
that one transform: cut out of each frame by its own landmarks, it would tremble with the detector,
and a micro-expression moves less than that.  So the head's own motion stays, the background's goes.
"""

from importlib import import_module
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.sampling.picture_size import face_side, to_model_picture, upright
from mllm_affect.media.sampling.waiting import Queue
from mllm_affect.media.types import Sampling, Source

DETECTOR_SIDE, LONGEST_SIDE = 320, 1280
"""Pixels of the longer side of what the detector looks at, and of what a face is cut from."""
LEAST_SCORE = 0.5


def prepare_faces() -> None:
    """Import and load all that cutting faces out needs; others are spared it."""
    import_module("mllm_affect.media.face.crops")
    import_module("mllm_affect.media.face.detector").prepare()


class Shown(Protocol):
    """A frame as the model sees it, made at the latest when it is asked for."""

    def result(self) -> NDArray[np.uint8]:
        """Return it as HWC uint8 RGB; every frame of a segment has the same size."""


class Pictures(Protocol):
    """Brings the frames of one segment to the model's size, in order."""

    def show(self, frame: TimedFrame) -> Shown:
        """Take the next frame."""


def pictures_of(source: Source, sampling: Sampling) -> Pictures:
    """Return what the sampling asks for, for one segment."""
    return (FacePictures if sampling.face_only else WholePictures)(source, sampling)


class WholePictures:
    """The frame as it is, scaled."""

    def __init__(self, source: Source, sampling: Sampling) -> None:
        self._waiting = Queue(
            lambda frame: to_model_picture(frame, source, sampling), source.width * source.height
        )

    def show(self, frame: TimedFrame) -> Shown:
        """Have the frame wait to be scaled with the others."""
        return self._waiting.add(frame)


class Made(NamedTuple):
    """A picture that is there already."""

    picture_HWC: NDArray[np.uint8]

    def result(self) -> NDArray[np.uint8]:
        """Return it."""
        return self.picture_HWC


class FacePictures:
    """The best face of the first frame, square; whole pictures where that shows none."""

    def __init__(self, source: Source, sampling: Sampling) -> None:
        self._source, self._whole = source, WholePictures(source, sampling)
        scale = min(1.0, LONGEST_SIDE / max(source.width, source.height))
        self._size = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
        self._side = face_side(source.width, source.height, sampling.max_pixels)
        self._looked = False
        self._points_52: NDArray[np.float64] | None = None

    def show(self, frame: TimedFrame) -> Shown:
        """Cut out the face, H = W; or show the whole frame."""
        if self._looked and self._points_52 is None:
            return self._whole.show(frame)
        from mllm_affect.media.face.crops import cut_out

        picture_HWC = upright(frame, self._source, *self._size)
        if not self._looked:
            self._points_52, self._looked = _landmarks(picture_HWC), True
        if self._points_52 is None:
            return self._whole.show(frame)
        return Made(cut_out(picture_HWC, self._points_52, self._side))


def _landmarks(picture_HWC: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    from mllm_affect.media.face.detector import detect

    found = detect(picture_HWC, DETECTOR_SIDE, LEAST_SCORE)
    return max(found, key=lambda face: face.area).points_52 if found else None

"""The face track as a part of a clip: what the reader is asked for.

Does: look at every n-th frame while the reader passes by, follow people, cut crops, give the track.
Does not: open files.  Memory: pictures of the frames since the last look, at most BLOCK_BYTES, and
the crops of at most CANDIDATES people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.face.between import Moment, fill
from mllm_affect.media.face.crops import brightness, cut_out, sharpness
from mllm_affect.media.face.detector import detect, prepare
from mllm_affect.media.face.kept import pack_track, unpack_track
from mllm_affect.media.face.people import Followed, People
from mllm_affect.media.face.track import track_of
from mllm_affect.media.face.types import Face, FaceTrack
from mllm_affect.media.parts import every_frame
from mllm_affect.media.sampling.picture_size import upright
from mllm_affect.media.sampling.policy import SAME_TIME_S
from mllm_affect.media.types import Source
from mllm_affect.media.weights import FACE_DETECTOR

BLOCK_BYTES = 64 << 20
"""Pictures between two looks; at large sizes and rates the detector looks more often instead."""
CANDIDATES = 3
"""So many people are cut out until the segment's end tells who is the main one."""
CONTINUING_SCORE = 0.3
"""A face with at least this score is followed; at least one must reach `min_score`."""


@dataclass(frozen=True)
class FacePart:
    """Asks the reader for the face track of each segment.

    crop_size: side of the crops in pixels, 0 for none.  look_every_s: longest time between two
    looks of the detector.  detector_side: the longer side of what it looks at, in pixels.
    picture_side: frames are kept and cut at most this large on their longer side.  min_score: at
    least one face of a person must reach it.  min_size: a face that is smaller (median of the
    shorter side in pixels of the source) is no main face.
    """

    crop_size: int = 128
    look_every_s: float = 0.2
    detector_side: int = 320
    picture_side: int = 1280
    min_score: float = 0.5
    min_size: float = 24.0
    kept_as: ClassVar[str] = f"face-track-1 {FACE_DETECTOR.sha256[:12]}"

    def prepare(self) -> None:
        """Load the detector now; a process that may open no file later calls this before."""
        prepare()

    def needs(
        self,
        times_N: NDArray[np.float64],
        end_s: float,  # noqa: ARG002
    ) -> NDArray[np.bool_]:
        """Every frame: native rate."""
        return every_frame(times_N)

    def begin(self, source: Source, start_s: float) -> "FaceCollector":  # noqa: ARG002
        """Return a fresh collector; no segment knows of the others."""
        return FaceCollector(self, source)

    def pack(self, made: FaceTrack) -> dict[str, NDArray[Any]]:
        """Return a track as arrays, for the clip cache."""
        return pack_track(made)

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> FaceTrack:
        """Return what `pack` was given."""
        return unpack_track(arrays)


class FaceCollector:
    """Makes the face track of one segment."""

    def __init__(self, part: FacePart, source: Source) -> None:
        self._part, self._source = part, source
        scale = min(1.0, part.picture_side / max(source.width, source.height))
        self._size = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
        self._enlarged = source.width / self._size[0]
        self._people = People(*self._size)
        self._block: list[Moment] = []
        self._times: list[float] = []
        self._looked: list[bool] = []
        self._look = partial(detect, side=part.detector_side, min_score=CONTINUING_SCORE)

    def see(self, frame: TimedFrame) -> None:
        """Take the next frame."""
        picture_HWC = upright(frame, self._source, *self._size)
        moment = Moment(frame.time_s, picture_HWC, [])
        self._times.append(frame.time_s)
        if not self._block:
            moment.look(self._look)
            self._keep([moment])
            self._block = [moment]
            return
        self._block.append(moment)
        waited_s = frame.time_s - self._block[0].time_s
        held = sum(kept.picture_HWC.nbytes for kept in self._block)
        if waited_s >= self._part.look_every_s - SAME_TIME_S or held >= BLOCK_BYTES:
            self._close_block()

    def finish(self, end_s: float) -> FaceTrack:  # noqa: ARG002
        """Return the track; what ends where is told by the frames."""
        if len(self._block) > 1:
            self._close_block()
        return track_of(
            self._people.heaviest(len(self._people.all)),
            np.array(self._times),
            np.array(self._looked, dtype=np.bool_),
            self._enlarged,
            self._part.min_score,
            self._part.min_size,
            self._part.crop_size,
        )

    def _close_block(self) -> None:
        """Look at the last picture, know the ones before it, and begin anew from it."""
        self._block[-1].look(self._look)
        fill(self._block, self._look, self._part.min_score)
        self._keep(self._block[1:])
        self._block = self._block[-1:]

    def _keep(self, moments: list[Moment]) -> None:
        """Follow the people of some frames, then cut the likeliest ones out."""
        first = len(self._looked)
        for position, moment in enumerate(moments, start=first):
            self._people.see(position, moment.time_s, moment.faces)
            self._looked.append(moment.looked)
        for person in self._people.heaviest(CANDIDATES):
            for position, face in _since(person, first):
                self._cut(person, position, face, moments[position - first].picture_HWC)

    def _cut(
        self, person: Followed, position: int, face: Face, picture_HWC: NDArray[np.uint8]
    ) -> None:
        crop_HWC = cut_out(picture_HWC, face.points_52, self._part.crop_size or 128)
        person.sharpness.append(sharpness(crop_HWC))
        person.brightness.append(brightness(crop_HWC))
        if self._part.crop_size:
            person.crops[position] = crop_HWC


def _since(person: Followed, first: int) -> list[tuple[int, Face]]:
    """Return a person's faces in frames from position `first` on."""
    return [
        (position, face)
        for position, face in zip(person.frames, person.faces, strict=True)
        if position >= first
    ]

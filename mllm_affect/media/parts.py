"""The seam by which one decode of a video serves everybody who needs something from it.

Does: say what a part of a clip is, hold the parts of one clip by type.  Does not: decode or cut.

A part is asked for by a small frozen dataclass (its settings and nothing else: hashable, picklable,
equal by value), handed to the reader, and found again in every clip under that same object:

    faces = FaceTrack(size=224)                      # a FramePart[Track]
    speech = SpeechSpans()                           # a SoundPart[tuple[Span, ...]]
    for clip in read_video(source, sampling, parts=[faces, speech]):
        track = clip.parts[faces]                    # mypy knows: Track

There are two kinds:

* FramePart: `begin(source, start_s)` makes a collector for each segment; the reader calls
  `see(frame)` for the segment's frames in order and `finish(end_s)` after the last one, which
  returns the part.  `needs(times_N, end_s)` says beforehand which frames it wants to see, so that
  the others need not be decoded; at native rate that is `every_frame`.  It may be shown more frames
  than it asked for (a damaged file cannot be planned) and must then come to the same result.  In a
  segment of no frames (see Segment) it is shown the one that stands still.
* SoundPart: `listen(source)` makes a listener for each reading of a source, so that it may remember
  what came before a cut; the reader calls its `hear(segment, audio_S)` once a segment, in order,
  with the 16 kHz sound, None where it has none, which returns the part.

A collector keeps what it makes of a picture and never the picture: `frame.picture` is at source
size, belongs to the decoder, and five seconds of them are gigabytes (the model's frames wait a few
at a time, see sampling.waiting).  Scale with
`decoding.scaling.scaled(frame.picture, width, height, format)`.  What a collector raises ends the
reading.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.source import Segment, Source

if TYPE_CHECKING:
    from mllm_affect.media.decoding.frames import TimedFrame

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Collector(Protocol[Made_co]):
    """Makes one part of one segment from the frames it is shown."""

    def see(self, frame: "TimedFrame") -> None:
        """Take the next frame of the segment; its picture must not be kept."""

    def finish(self, end_s: float) -> Made_co:
        """Return the part; the segment ends at `end_s` and had at least one frame."""


class FramePart(Protocol[Made_co]):
    """Something made of a segment's frames."""

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
        """Say which of a segment's frames, shown from these seconds on, must be seen (N bools)."""

    def begin(self, source: Source, start_s: float) -> Collector[Made_co]:
        """Return a fresh collector for the segment that begins at `start_s`."""

    def __hash__(self) -> int:
        """Equal settings are the same part."""


class Listener(Protocol[Made_co]):
    """Makes one part of every segment from its sound."""

    def hear(self, segment: Segment, audio_S: NDArray[np.int16] | None) -> Made_co:
        """Return the part; `audio_S` is 16 kHz mono as in Clip, silence-padded to a second."""


@runtime_checkable
class SoundPart(Protocol[Made_co]):
    """Something made of a segment's sound."""

    def listen(self, source: Source) -> Listener[Made_co]:
        """Return a fresh listener for one reading of a source."""

    def __hash__(self) -> int:
        """Equal settings are the same part."""


AnyPart = FramePart[Any] | SoundPart[Any]


def every_frame(times_N: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the answer to `needs` of whoever works at native rate."""
    return np.ones(len(times_N), dtype=np.bool_)


class Parts:
    """The parts of one clip; each is found under the object that asked for it."""

    def __init__(self, made: Mapping[AnyPart, Any] | None = None) -> None:
        self._made = dict(made or {})

    def __getitem__(self, part: FramePart[Made] | SoundPart[Made]) -> Made:
        """Return what was made for `part`.  KeyError where it was not asked for."""
        found: Made = self._made[part]
        return found

    def __contains__(self, part: object) -> bool:
        """Whether the reader was asked for it."""
        return part in self._made

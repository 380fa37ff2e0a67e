"""Reading the clips of a video in one sequential decode.

Does: decode once; cut while reading, or read segments that are known; give each its frames at the
sampling's rate and size and its 16 kHz sound.  Does not: keep frames at source size, write files,
or isolate hostile input.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.audio import AudioTimeline
from mllm_affect.media.cutting import MAX_SECONDS, decoded_frames, grown, placed_frames
from mllm_affect.media.opening import main_audio, open_media
from mllm_affect.media.sampling import SegmentFrames
from mllm_affect.media.types import Clip, Sampling, Segment, Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet


def read_video(
    source: Source, sampling: Sampling, max_seconds: float = MAX_SECONDS
) -> Iterator[Clip]:
    """Cut a source and yield the clip of each segment, in order: one decode for both.

    The segments are those that `segment` lists.  A clip comes as soon as the decoder is past its
    end.  Raises UserError `bad_max_seconds`, `no_frames`, or as opening does.
    """
    with open_media(source.path) as container:
        clips = _Clips(container, sampling)
        growing: tuple[Segment, SegmentFrames] | None = None
        for placed in placed_frames(container, source, max_seconds, clips.hear):
            now = grown(growing[0] if growing else None, placed, source)
            if growing and now.index == growing[0].index:
                pictures = growing[1]
            else:
                if growing:
                    clips.add(*growing)
                pictures = SegmentFrames(now.start_s, source, sampling)
            growing = (now, pictures)
            pictures.see(placed.frame)
            yield from clips.ready()
        if growing:
            clips.add(*growing)
        yield from clips.rest()


def read_clips(source: Source, segments: Sequence[Segment], sampling: Sampling) -> Iterator[Clip]:
    """Yield the clip of each of these segments, which must be in order and not overlap.

    Raises UserError `source_changed` when the file no longer holds the segments' frames, or as
    opening does.
    """
    todo = deque(segments)
    pictures: SegmentFrames | None = None
    with open_media(source.path) as container:
        clips = _Clips(container, sampling)
        for frame in decoded_frames(container, source, clips.hear):
            if pictures is None and todo and frame.index >= todo[0].first_frame:
                pictures = SegmentFrames(todo[0].start_s, source, sampling)
            if pictures is not None:
                pictures.see(frame)
                if frame.index == todo[0].first_frame + todo[0].num_frames - 1:
                    clips.add(todo.popleft(), pictures)
                    pictures = None
            yield from clips.ready()
        if todo:
            raise UserError(
                "source_changed",
                f"{source.path.name} ends before its last segment; segment it anew.",
            )
        yield from clips.rest()


@dataclass
class _Waiting:
    segment: Segment
    frames_THWC: NDArray[np.uint8]
    times_T: NDArray[np.float64]


class _Clips:
    """Segments whose frames are complete, until their sound is."""

    def __init__(self, container: "InputContainer", sampling: Sampling) -> None:
        audio = main_audio(container)
        self._timeline = AudioTimeline(audio) if audio else None
        self._sampling = sampling
        self._waiting: deque[_Waiting] = deque()

    def hear(self, packet: "Packet[Any]") -> None:
        """Take the next audio packet."""
        if self._timeline is not None:
            self._timeline.decode(packet)

    def add(self, segment: Segment, pictures: SegmentFrames) -> None:
        """Take a segment whose last frame was seen."""
        self._waiting.append(_Waiting(segment, *pictures.finish(segment.end_s)))

    def ready(self) -> Iterator[Clip]:
        """Yield the clips whose sound has been decoded as far as their end."""
        while self._waiting and (
            self._timeline is None or self._timeline.end_s >= self._waiting[0].segment.end_s
        ):
            yield self._clip(self._waiting.popleft())

    def rest(self) -> Iterator[Clip]:
        """Yield what is left after the last packet."""
        if self._timeline is not None:
            self._timeline.finish()
        while self._waiting:
            yield self._clip(self._waiting.popleft())

    def _clip(self, done: _Waiting) -> Clip:
        start_s, end_s = done.segment.start_s, done.segment.end_s
        heard = self._timeline is not None and self._timeline.stated.overlaps(start_s, end_s)
        audio_S = self._timeline.take(start_s, end_s) if self._timeline is not None else None
        # A codec's padding may reach beyond the sound that the file states.
        return Clip(
            replace(done.segment, has_audio=heard),
            self._sampling,
            done.frames_THWC,
            done.times_T,
            audio_S if heard else None,
        )

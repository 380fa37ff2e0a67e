"""Reading the clips of a video's segments in one sequential decode.

Does: decode once, give each segment its frames at the sampling's rate and size and its 16 kHz
sound.  Does not: keep frames at source size, cut, write files, or isolate hostile input.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.audio import AudioTimeline
from mllm_affect.media.frames import FrameClock, TimedFrame
from mllm_affect.media.opening import main_audio, main_video, open_media
from mllm_affect.media.sampling import SegmentFrames
from mllm_affect.media.types import Clip, Sampling, Segment, Source

if TYPE_CHECKING:
    from av.packet import Packet


def read_clips(source: Source, segments: Sequence[Segment], sampling: Sampling) -> Iterator[Clip]:
    """Yield the clip of each segment, in order.  `segments` must be in order and not overlap.

    Frame and sound of a clip come as soon as the decoder is past its end.  Raises UserError
    `source_changed` when the file no longer holds the segments' frames, or as opening does.
    """
    with open_media(source.path) as container:
        video, audio = main_video(container), main_audio(container)
        if video is None:
            raise UserError("no_video", f"{source.path.name} holds no video track.")
        timeline = AudioTimeline(audio) if audio else None
        cutter = _Cutter(source, segments, sampling, FrameClock(video), timeline)
        for packet in container.demux([video, audio] if audio else [video]):
            if packet.stream is video:
                cutter.see(packet)
            elif timeline is not None:
                timeline.decode(packet)
            yield from cutter.ready()
        yield from cutter.rest()


@dataclass
class _Waiting:
    segment: Segment
    frames_THWC: NDArray[np.uint8]
    times_T: NDArray[np.float64]


class _Cutter:
    """Hands decoded frames to the segment they belong to and joins them with its sound."""

    def __init__(
        self,
        source: Source,
        segments: Sequence[Segment],
        sampling: Sampling,
        clock: FrameClock,
        timeline: AudioTimeline | None,
    ) -> None:
        self._source, self._sampling = source, sampling
        self._clock, self._timeline = clock, timeline
        self._todo = deque(segments)
        self._open: tuple[Segment, SegmentFrames] | None = None
        self._waiting: deque[_Waiting] = deque()

    def see(self, packet: "Packet[Any]") -> None:
        """Decode one video packet."""
        for frame in self._clock.decode(packet):
            self._place(frame)

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
        if self._open is not None or self._todo:
            raise UserError(
                "source_changed",
                f"{self._source.path.name} ends before its last segment; segment it anew.",
            )
        while self._waiting:
            yield self._clip(self._waiting.popleft())

    def _place(self, frame: TimedFrame) -> None:
        if self._open is None:
            if not self._todo or frame.index < self._todo[0].first_frame:
                return
            segment = self._todo.popleft()
            self._open = (segment, SegmentFrames(segment, self._source, self._sampling))
        segment, frames = self._open
        frames.see(frame, float(frame.ticks * self._clock.time_base))
        if frame.index == segment.first_frame + segment.num_frames - 1:
            self._waiting.append(_Waiting(segment, *frames.finish()))
            self._open = None

    def _clip(self, done: _Waiting) -> Clip:
        audio_S = None
        if self._timeline is not None:
            samples_S = self._timeline.take(done.segment.start_s, done.segment.end_s)
            # A codec's padding may reach beyond the sound that the file states.
            audio_S = samples_S if done.segment.has_audio else None
        return Clip(done.segment, self._sampling, done.frames_THWC, done.times_T, audio_S)

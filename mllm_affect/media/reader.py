"""Reading the clips of a video in one sequential decode.

Does: decode once; cut while reading, or read segments that are known; give each its frames at the
sampling's rate and size, its 16 kHz sound, and whatever other parts it was asked for (see parts).
Does not: keep frames at source size, write files, or isolate hostile input.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mllm_affect.errors import UserError
from mllm_affect.media.audio import AudioTimeline
from mllm_affect.media.cutting import MAX_SECONDS, decoded_frames, grown, placed_frames
from mllm_affect.media.opening import main_audio, open_media
from mllm_affect.media.parts import AnyPart, Collector, FramePart, Parts, SoundPart
from mllm_affect.media.sampling import ModelFrames
from mllm_affect.media.types import Clip, Sampling, Segment, Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

    from mllm_affect.media.frames import TimedFrame


def read_video(
    source: Source,
    sampling: Sampling,
    max_seconds: float = MAX_SECONDS,
    parts: Sequence[AnyPart] = (),
) -> Iterator[Clip]:
    """Cut a source and yield the clip of each segment, in order: one decode for all.

    The segments are those that `segment` lists; `parts` are made besides the model's frames and
    the sound.  A clip comes as soon as the decoder is past its end.  Raises UserError
    `bad_max_seconds`, `no_frames`, or as opening does.
    """
    with open_media(source.path) as container:
        clips = _Clips(container, source, sampling, parts)
        growing: Segment | None = None
        for placed in placed_frames(container, source, max_seconds, clips.hear):
            before, growing = growing, grown(growing, placed, source)
            if before is None or growing.index != before.index:
                if before is not None:
                    clips.end(before)
                clips.begin(growing.start_s)
            clips.see(placed.frame)
            yield from clips.ready()
        if growing is not None:
            clips.end(growing)
        yield from clips.rest()


def read_clips(
    source: Source,
    segments: Sequence[Segment],
    sampling: Sampling,
    parts: Sequence[AnyPart] = (),
) -> Iterator[Clip]:
    """Yield the clip of each of these segments, which must be in order and not overlap.

    Raises UserError `source_changed` when the file no longer holds the segments' frames, or as
    opening does.
    """
    todo = deque(segments)
    with open_media(source.path) as container:
        clips = _Clips(container, source, sampling, parts)
        for frame in decoded_frames(container, source, clips.hear):
            if todo and frame.index >= todo[0].first_frame:
                if frame.index == todo[0].first_frame:
                    clips.begin(todo[0].start_s)
                clips.see(frame)
                if frame.index == todo[0].first_frame + todo[0].num_frames - 1:
                    clips.end(todo.popleft())
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
    made: dict[AnyPart, Any]


class _Clips:
    """The open segment's collectors, and the segments whose sound is not complete."""

    def __init__(
        self,
        container: "InputContainer",
        source: Source,
        sampling: Sampling,
        parts: Sequence[AnyPart],
    ) -> None:
        audio = main_audio(container)
        self._timeline = AudioTimeline(audio) if audio else None
        self._source, self._model_frames = source, ModelFrames(sampling)
        self._parts = tuple(dict.fromkeys((self._model_frames, *parts)))
        self._asked = frozenset(parts)
        self._listeners = {p: p.listen(source) for p in self._parts if isinstance(p, SoundPart)}
        self._open: list[tuple[FramePart[Any], Collector[Any]]] = []
        self._waiting: deque[_Waiting] = deque()

    def hear(self, packet: "Packet[Any]") -> None:
        """Take the next audio packet."""
        if self._timeline is not None:
            self._timeline.decode(packet)

    def begin(self, start_s: float) -> None:
        """Open the segment that starts there."""
        self._open = [
            (part, part.begin(self._source, start_s))
            for part in self._parts
            if not isinstance(part, SoundPart)
        ]

    def see(self, frame: "TimedFrame") -> None:
        """Take the next frame of the open segment."""
        for _, collector in self._open:
            collector.see(frame)

    def end(self, segment: Segment) -> None:
        """Close the open segment: its last frame was seen."""
        done = _Waiting(segment, {})
        for part, collector in self._open:
            done.made[part] = collector.finish(segment.end_s)
        self._waiting.append(done)

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
        segment, audio_S = replace(done.segment, has_audio=heard), audio_S if heard else None
        for part, listener in self._listeners.items():
            done.made[part] = listener.hear(segment, audio_S)
        frames_THWC, times_T = done.made[self._model_frames]
        parts = Parts({part: made for part, made in done.made.items() if part in self._asked})
        return Clip(segment, self._model_frames.sampling, frames_THWC, times_T, audio_S, parts)

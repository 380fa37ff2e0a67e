"""Reading the clips of a video in one sequential decode.

Does: decode once; cut while reading, or read segments that are known; give each its frames at the
sampling's rate and size, its 16 kHz sound, and whatever other parts it was asked for (see parts).
Where the packets tell the timeline, frames that nobody needs are not decoded (see decoding).
Does not: keep frames at source size, write files, or isolate hostile input.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.cutting import (
    MAX_SECONDS,
    cut_timeline,
    decoded_frames,
    placed_frames,
)
from mllm_affect.media.decoding.audio import SoundReader
from mllm_affect.media.decoding.carried_out import frames_and_sound, sound_of
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.planned import Plan, UnplannedError
from mllm_affect.media.decoding.timeline import Timeline
from mllm_affect.media.display import Borders
from mllm_affect.media.looking import Look, looked_at
from mllm_affect.media.packet_survey import surveyed
from mllm_affect.media.parts import AnyPart, Collector, FramePart, Parts, SoundPart
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.types import Clip, Sampling, Segment, Source
from mllm_affect.media.warnings import Warnings, joined

if TYPE_CHECKING:
    from mllm_affect.media.decoding.frames import TimedFrame


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
    with looked_at(source) as look:
        if look is not None:
            segments = tuple(cut_timeline(look.timeline, source, max_seconds))
            yield from _planned(source, look, segments, sampling, parts)
            return
    survey = surveyed(source)
    with (
        open_media(source.path, source.chosen) as container,
        sound_of(source, survey.moves) as sound,
    ):
        clips = _Clips(sound, survey.source, sampling, parts)
        for frame, place, maker in placed_frames(container, survey, max_seconds):
            for ended in maker.see(place):
                yield clips.end(ended)
            clips.see(frame, float(place.start_ticks * frame.time_base))
        for last in maker.finish():
            yield clips.end(last)


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
    with looked_at(source) as look:
        if look is not None:
            frames = len(look.timeline.ticks_N)
            if segments and segments[-1].first_frame + segments[-1].num_frames > frames:
                raise _shorter(source)
            yield from _planned(source, look, segments, sampling, parts)
            return
    survey, todo = surveyed(source), deque(segments)
    with (
        open_media(source.path, source.chosen) as container,
        sound_of(source, survey.moves) as sound,
    ):
        clips = _Clips(sound, survey.source, sampling, parts)
        for frame in decoded_frames(container, survey):
            if todo and frame.index >= todo[0].shown_frame:
                clips.see(frame, todo[0].start_s)
            while todo and frame.index == todo[0].shown_frame + max(0, todo[0].num_frames - 1):
                yield clips.end(todo.popleft())
        if todo:
            raise _shorter(source)


def _planned(
    source: Source,
    look: Look,
    segments: Sequence[Segment],
    sampling: Sampling,
    parts: Sequence[AnyPart],
) -> Iterator[Clip]:
    """Decode what is needed; where that goes otherwise than planned, go on by decoding all."""
    needed_N = needed_frames(look.timeline, segments, [ModelFrames(sampling), *parts])
    given = 0
    for skip, held in ((True, look.held), (False, None)):
        plan = Plan.of(look.timeline, needed_N, skip)
        try:
            with frames_and_sound(source, plan, held) as (frames, sound):
                clips = _Clips(sound, source, sampling, parts)
                for place, clip in enumerate(clips.of(segments, frames)):
                    if place >= given:
                        yield clip
                        given += 1
            return
        except UnplannedError:
            continue


def needed_frames(
    timeline: Timeline, segments: Sequence[Segment], parts: Sequence[AnyPart]
) -> NDArray[np.bool_]:
    """Say which frames of the timeline any part wants to see."""
    times_N, needed_N = timeline.seconds(), np.zeros(len(timeline.ticks_N), dtype=np.bool_)
    for one in segments:
        span = slice(one.shown_frame, one.first_frame + one.num_frames)
        shown_N = times_N[span]
        if shown_N[0] != one.start_s:
            shown_N = np.concatenate([[one.start_s], shown_N[1:]])
        for part in parts:
            if not isinstance(part, SoundPart):
                needed_N[span] |= part.needs(shown_N, one.end_s)
    return needed_N


def _shorter(source: Source) -> UserError:
    return UserError(
        "source_changed", f"{source.path.name} ends before its last segment; segment it anew."
    )


class _Clips:
    """The open segment's collectors, and what is made of its sound."""

    def __init__(
        self, sound: SoundReader, source: Source, sampling: Sampling, parts: Sequence[AnyPart]
    ) -> None:
        self._sound, self._source, self._model_frames = sound, source, ModelFrames(sampling)
        self._parts = tuple(dict.fromkeys((self._model_frames, *parts)))
        self._asked = frozenset(parts)
        self._listeners = {p: p.listen(source) for p in self._parts if isinstance(p, SoundPart)}
        self._open: list[tuple[FramePart[Any], Collector[Any]]] = []
        self._shown: TimedFrame | None = None
        self._noted: Warnings = ()
        self._borders = Borders(source)

    def of(self, segments: Sequence[Segment], frames: "Iterator[TimedFrame]") -> Iterator[Clip]:
        """Yield the clips of segments from those of their frames that are needed."""
        frame = next(frames, None)
        for segment in segments:
            beyond = segment.first_frame + segment.num_frames
            while frame is not None and frame.index < beyond:
                self.see(frame, segment.start_s)
                frame = next(frames, None)
            if not self._open and not (segment.stands_still and self._shown is not None):
                name = self._source.path.name
                raise UserError("no_frames", f"{name} has a video track without any frame.")
            yield self.end(segment)

    def see(self, frame: "TimedFrame", start_s: float) -> None:
        """Take the next frame of the segment that starts there."""
        if not self._open:
            self._begin(start_s)
        self._shown = frame
        self._noted += frame.warnings
        self._borders.see(frame.picture)
        if frame.time_s < start_s or not frame.index:  # shown on, or early
            frame = frame.shown_from(start_s)
        for _, collector in self._open:
            collector.see(frame)

    def _begin(self, start_s: float) -> None:
        self._open = [
            (part, part.begin(self._source, start_s))
            for part in self._parts
            if not isinstance(part, SoundPart)
        ]

    def end(self, segment: Segment) -> Clip:
        """Return the clip of the open segment: its last frame was seen.

        Where a picture stands still, that of the segments before it is shown on.
        """
        if not self._open and self._shown is not None:
            self.see(self._shown, segment.start_s)
        made: dict[AnyPart, Any] = {}
        for part, collector in self._open:
            made[part] = collector.finish(segment.end_s)
        self._open = []
        audio_S = self._sound.take(segment.start_s, segment.end_s)
        warnings = joined(
            self._source.warnings, segment.warnings, self._borders.end(), self._noted,
            self._sound.warnings(),
        )  # fmt: skip
        self._noted = ()
        segment = replace(segment, has_audio=audio_S is not None, warnings=warnings)
        for listening, listener in self._listeners.items():
            made[listening] = listener.hear(segment, audio_S)
        frames_THWC, times_T = made[self._model_frames]
        parts = Parts({part: one for part, one in made.items() if part in self._asked})
        return Clip(segment, self._model_frames.sampling, frames_THWC, times_T, audio_S, parts)

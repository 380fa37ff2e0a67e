"""The rule by which frames fall into segments, one frame at a time.

Does: decide, when a frame's end is known, whether it still fits the open segment; the same for
whoever cuts only and whoever reads.  Does not: look at content.  See docs/design/0003.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import FrameClock, TimedFrame
from mllm_affect.media.decoding.guard import guarded
from mllm_affect.media.decoding.interleaved import Nearness
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.stream_choice import main_audio, main_video
from mllm_affect.media.decoding.timeline import Timeline, TimelineReader
from mllm_affect.media.packet_survey import Survey, surveyed
from mllm_affect.media.sound_overhang import OVERHANG_S, SoundOverhang, TimeExtent
from mllm_affect.media.types import Segment, Source
from mllm_affect.media.warnings import Warnings, joined, warn

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

MAX_SECONDS = 5.0
SEGMENTER = "greedy-1"
"""Name and version of the rule, recorded beside every result."""

Hear = Callable[["Packet[Any]"], None]
"""Takes every audio packet in the file's order."""
See = Callable[["Packet[Any]"], None]
"""Takes every packet of the video and its sound in the file's order."""


class Place(NamedTuple):
    """Where a frame belongs, in ticks: where its segment begins, where the frame itself ends.

    A frame that alone lasts longer than the bound is parted: `end_ticks` is where its first part
    ends, `still_ticks` where each further one does.
    """

    start_ticks: int
    end_ticks: int
    still_ticks: tuple[int, ...] = ()


class GreedyCutter:
    """Gives every frame to the open segment while its end is at most `bound` ticks from the start.

    A frame ends where its successor begins, so each is placed when the next one is seen, and the
    last by `finish`.  A frame that alone exceeds the bound is parted into as few equal segments as
    keep to it.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._pending: int | None = None
        self._start: int | None = None
        self._first = 0
        self._count = 0

    def see(self, ticks: int) -> Place | None:
        """Take when the next frame begins; return its predecessor's place, None for the first."""
        before, self._pending = self._pending, ticks
        self._count += 1
        if before is None:
            self._first = ticks
            return None
        return self._place(before, ticks)

    def finish(
        self, own_ticks: int, usual_ticks: int, shown_until: Callable[[int], int] = int
    ) -> Place | None:
        """Return the last frame's place, None if there was no frame.

        It lasts as long as the file says (`own_ticks`), where that is 0 the mean of the others,
        where it is alone `usual_ticks`; `shown_until` returns a later end where it is shown on.
        """
        last, self._pending = self._pending, None
        if last is None:
            return None
        length = own_ticks
        if length <= 0 and self._count > 1:
            length = max(1, round((last - self._first) / (self._count - 1)))
        return self._place(last, shown_until(last + (length if length > 0 else usual_ticks)))

    def _place(self, begin: int, end: int) -> Place:
        if self._start is None or end - self._start > self._bound:
            self._start = begin
        length = end - self._start
        if length <= self._bound:
            return Place(self._start, end)
        parts = -(-length // self._bound)
        first, *others = (begin + length * part // parts for part in range(1, parts + 1))
        return Place(begin, first, tuple(others))


class SegmentMaker:
    """Counts placed frames into segments.  Whether these have audio is not known here: False."""

    def __init__(self, source: Source, time_base: Fraction, beside: SoundOverhang) -> None:
        self._source, self._time_base, self._beside = source, time_base, beside
        self._index, self._first, self._count = 0, 0, 0
        self._place: Place | None = None

    def see(self, place: Place) -> tuple[Segment, ...]:
        """Take the next frame's place; return the segments before, if this frame begins another."""
        begins = self._place is not None and place.start_ticks != self._place.start_ticks
        ended = self._ended() if begins else ()
        self._count += 1
        self._place = place
        return ended

    def finish(self) -> tuple[Segment, ...]:
        """Return the last segments, none if there was no frame."""
        return self._ended() if self._place is not None else ()

    def _ended(self) -> tuple[Segment, ...]:
        """Return the open segment, and those in which its only frame stands still."""
        assert self._place is not None
        start, end, still = self._place
        warnings = self._source.warnings
        if still:
            start_s, end_s = (float(ticks * self._time_base) for ticks in (start, still[-1]))
            facts = {"start": f"{start_s:.2f}", "end": f"{end_s:.2f}"}
            warnings = joined(warnings, (warn("picture_stands_still", **facts),))
        ended = []
        for begin, beyond in pairwise((start, end, *still)):
            ended.append(self._segment(begin, beyond, warnings))
            self._index, self._first, self._count = self._index + 1, self._first + self._count, 0
        return tuple(ended)

    def _segment(self, start: int, end: int, warnings: Warnings) -> Segment:
        start_s, end_s = float(start * self._time_base), float(end * self._time_base)
        return Segment(
            source_sha256=self._source.sha256,
            index=self._index,
            start_s=start_s,
            end_s=end_s,
            first_frame=self._first,
            num_frames=self._count,
            has_audio=False,
            warnings=joined(warnings, self._beside.warnings(start_s, end_s)),
        )


def placed_frames(
    container: "InputContainer", survey: Survey, max_seconds: float
) -> Iterator[tuple[TimedFrame, Place, SegmentMaker]]:
    """Decode a source once; yield every frame with its place and the one maker of segments.

    Raises UserError `bad_max_seconds`, `no_video`, `no_frames`.
    """
    source = survey.source
    before: TimedFrame | None = None
    for frame in decoded_frames(container, survey):
        ticks = frame.ticks
        if before is None:
            cutter = GreedyCutter(bound_ticks(max_seconds, frame.time_base))
            beside = SoundOverhang(survey.heard, frame.time_base, source.path.name)
            maker = SegmentMaker(source, frame.time_base, beside)
            ticks = beside.first(ticks)
        place = cutter.see(ticks)
        if before is not None and place is not None:
            yield before, place, maker
        before = frame
    if before is None:
        raise UserError("no_frames", f"{source.path.name} has a video track without any frame.")
    last = cutter.finish(before.own_ticks, usual_ticks(source, before.time_base), beside.last)
    assert last is not None
    yield before, last, maker


def cut_timeline(timeline: Timeline, source: Source, max_seconds: float) -> Iterator[Segment]:
    """Yield the segments of a timeline: those that decoding would give.

    Raises UserError `bad_max_seconds`.
    """
    cutter = GreedyCutter(bound_ticks(max_seconds, timeline.time_base))
    beside = SoundOverhang(timeline.heard, timeline.time_base, source.path.name)
    maker = SegmentMaker(source, timeline.time_base, beside)
    usual = usual_ticks(source, timeline.time_base)
    cutter.see(beside.first(int(timeline.ticks_N[0])))
    places = chain(
        map(cutter.see, timeline.ticks_N[1:].data),
        (cutter.finish(timeline.last_ticks, usual, beside.last) for _ in "1"),
    )
    for place in places:
        if place is not None:
            yield from maker.see(place)
    yield from maker.finish()


def video_of(container: "InputContainer", source: Source) -> "VideoStream":
    """Return an opened source's video.  Raises UserError `no_video`."""
    video = main_video(container, source.chosen)
    if video is None:
        raise UserError("no_video", f"{source.path.name} holds no video track.")
    return video


def decoded_frames(container: "InputContainer", survey: Survey) -> Iterator[TimedFrame]:
    """Decode a source once; yield every frame.  Sound is passed over, but held to the limits.

    Raises UserError `no_video`, or as the guard does.
    """
    source, moves = survey.source, survey.moves
    video, audio = video_of(container, source), main_audio(container, source.chosen)
    clock = FrameClock(video)
    packets: Iterator[Packet[Any]] = container.demux([video, audio] if audio else [video])
    for packet in guarded(moves.applied(packets), video, source.path.name):
        if packet.stream is video:
            yield from clock.decode(packet)


def frame_times(source: Source) -> NDArray[np.float64]:
    """Return the timestamp of every frame that can be decoded, in seconds.  Raises as opening."""
    survey = surveyed(source)
    with open_media(source.path, source.chosen) as container:
        frames = decoded_frames(container, survey)
        return np.array([frame.time_s for frame in frames], dtype=np.float64)


def read_timeline(container: "InputContainer", source: Source, see: See) -> Timeline | None:
    """Return a source's timeline from its packets alone, None where it cannot be trusted.

    Every packet is handed to `see`; without a timeline not all of them.
    Raises UserError `no_video`, or as the guard does.
    """
    video, audio = video_of(container, source), main_audio(container, source.chosen)
    reader = TimelineReader(video)
    if reader.odd:
        return None
    nearness = Nearness(video, audio)
    packets = container.demux([video, audio] if audio else [video])
    for packet in guarded(packets, video, source.path.name):
        nearness.see(packet)
        see(packet)
        if packet.stream is video:
            reader.see(packet)
            if reader.odd:
                return None
    timeline = reader.timeline()
    if timeline is None or nearness.counts_anew:
        return None
    heard = nearness.heard
    if heard is not None and _lies_beside(heard, timeline):
        heard = surveyed(source).heard  # which looks at every packet of the sound more closely
    return replace(timeline, near=nearness.near, heard=heard)


def _lies_beside(heard: TimeExtent, timeline: Timeline) -> bool:
    """Whether some of the sound lies before the first picture or after the last one begins."""
    first_s, last_s = (
        float(ticks * timeline.time_base) for ticks in timeline.ticks_N[[0, -1]].tolist()
    )
    return first_s - heard.start_s > OVERHANG_S or heard.end_s - last_s > OVERHANG_S


def bound_ticks(max_seconds: float, time_base: Fraction) -> int:
    """Return the bound in whole ticks.  Raises UserError `bad_max_seconds`."""
    if not 0.1 <= max_seconds <= 60.0:
        raise UserError(
            "bad_max_seconds",
            f"--max-seconds is {max_seconds}; give a number of seconds from 0.1 to 60.",
        )
    return int(Fraction(str(max_seconds)) / time_base)


def usual_ticks(source: Source, time_base: Fraction) -> int:
    """Return how many ticks a frame lasts at the source's average rate."""
    return max(1, round(1 / Fraction(source.average_fps or 25.0) / time_base))

"""Opening a file to carry out a plan: its wanted frames, decoded ahead, and its sound.

Does: choose how to decode (groups beside each other where that pays), how often to open, and in
which order to close.  Does not: decide what is wanted (see planned), or cut.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from mllm_affect.cores import usable_cores
from mllm_affect.media.decoding.ahead import ahead
from mllm_affect.media.decoding.audio import SoundReader
from mllm_affect.media.decoding.begun import Begun
from mllm_affect.media.decoding.clock_restarts import NO_SHIFTS, TimestampShifts
from mllm_affect.media.decoding.groups import (
    frames_of_groups,
    groups_at_once,
    last_is_alone,
    most_waiting,
    parted,
)
from mllm_affect.media.decoding.held import Held
from mllm_affect.media.decoding.interleaved import Interleaved
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.planned import Decodes, Plan, planned_frames, with_threads
from mllm_affect.media.decoding.spare import Spare
from mllm_affect.media.decoding.stream_choice import main_audio, main_video
from mllm_affect.media.types import Source

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from mllm_affect.media.decoding.frames import TimedFrame

FRAMES_AHEAD = 2
"""At source size, 3 MB each at 1080p."""


@contextmanager
def frames_and_sound(
    source: Source, plan: Plan, held: Held | None = None
) -> Iterator[tuple["Generator[TimedFrame]", SoundReader]]:
    """Give a plan's frames in order of time, and the sound, from packets `held` or by opening.

    Raises UserError as opening does; taking frames raises UnplannedError as planned_frames does.
    """
    begun = held.begun if held is not None else None
    decoding = _Decoding(source, plan, begun)
    with (
        _both(source, plan.timeline.near, held) as (video, packets, sound),
        closing(decoding.frames(video, packets)) as frames,
    ):
        yield frames, sound


@contextmanager
def sound_of(source: Source, moves: TimestampShifts = NO_SHIFTS) -> Iterator[SoundReader]:
    """Open a source for its sound, which then waits for no picture, nor a picture for it."""
    with open_media(source.path, source.chosen) as container:
        audio = main_audio(container, source.chosen)
        heard = Interleaved(container, [audio]).of(audio) if audio is not None else iter(())
        if audio is None or not moves.times:
            yield SoundReader(audio, heard)
            return
        anew = [packet for packet, _ in moves.of(audio.index)]
        yield SoundReader(audio, moves.applied(heard), anew)


class _Decoding:
    """How a plan is carried out: by groups beside each other where that pays, else in one go."""

    def __init__(self, source: Source, plan: Plan, begun: Begun | None) -> None:
        self._plan, self._groups, self._begun = plan, parted(plan), begun
        self._waiting = most_waiting(source.width * source.height)
        at_once = groups_at_once(self._groups, self._waiting)
        self._others = [Spare(source, usable_cores() // at_once) for _ in range(at_once - 1)]
        self._last = Spare(source, 1) if last_is_alone(self._groups, at_once) else None
        if begun is None:  # before the file is opened to be read: its index is never held twice
            for other in (*self._others, *filter(None, (self._last,))):
                other.open()

    def frames(
        self, video: "VideoStream", packets: "Iterator[Packet[Any]]"
    ) -> Generator["TimedFrame"]:
        """Yield the wanted frames, decoded ahead."""
        at_once = 1 + len(self._others)
        own: Decodes = (
            with_threads(video.codec_context, usable_cores() // at_once)
            if self._begun is None
            else self._begun.goes_on(self._groups[0].send)
        )
        if not self._others:
            return ahead(planned_frames(own, packets, self._plan), FRAMES_AHEAD)
        decoders = [own, *self._others]
        return frames_of_groups(decoders, packets, self._groups, self._waiting, self._last)


@contextmanager
def _both(
    source: Source, near: bool, held: Held | None
) -> "Iterator[tuple[VideoStream, Iterator[Packet[Any]], SoundReader]]":
    """Open a source for pictures and sound: once where these lie near each other, else for each."""
    if held is not None:
        yield held.video, held.pictures(), held.sound
        return
    with open_media(source.path, source.chosen) as container:
        video, audio = main_video(container, source.chosen), main_audio(container, source.chosen)
        assert video is not None
        if near or audio is None:
            shared = Interleaved(container, [video] if audio is None else [video, audio])
            heard = shared.of(audio) if audio is not None else iter(())
            yield video, shared.of(video), SoundReader(audio, heard)
            return
        with sound_of(source) as sound:
            yield video, Interleaved(container, [video]).of(video), sound

"""A pass over all packets of a file without a trusted timeline, before its frames are decoded.

Does: find where the clock starts anew and where there is sound.  Does not: decode, or keep packets.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mllm_affect.media.decoding.clock_restarts import RestartFinder, TimestampShifts
from mllm_affect.media.decoding.guard import Density
from mllm_affect.media.decoding.interleaved import clock, until_it_breaks
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.stream_choice import main_audio, main_video
from mllm_affect.media.limits import DEFAULT_LIMITS
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.sound_overhang import TimeExtent
from mllm_affect.media.types import Source
from mllm_affect.media.warnings import joined, warn

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class Survey:
    """What was found: `source` with the warnings about it, how packets are to be moved.

    `heard` and `shown`: where sound and pictures are then; `frames`: packets of pictures.
    """

    source: Source
    moves: TimestampShifts
    heard: TimeExtent | None
    shown: TimeExtent | None = None
    frames: int = 0


def surveyed(source: Source) -> Survey:
    """Look at a source's packets.

    Raises UserError as opening does, `no_video`, `video_too_long`, `frame_rate_too_high`,
    `audio_too_long`, `clock_restarts`.
    """
    with open_media(source.path, source.chosen) as container:
        finder = _seen(container, source)
    moves = finder.moves()
    if moves.times:
        warning = warn("clock_restarts", times=moves.times)
        source = replace(source, warnings=joined(source.warnings, (warning,)))
    return Survey(source, moves, finder.heard(), finder.shown(), finder.frames)


def _seen(container: "InputContainer", source: Source) -> RestartFinder:
    video, audio = main_video(container, source.chosen), main_audio(container, source.chosen)
    name, limits = source.path.name, DEFAULT_LIMITS
    if video is None:
        raise MediaError("no_video", name)
    finder, frames, parts, seconds = RestartFinder(video, name), 0, 1, clock(video)
    density, video_s = Density(limits.frames_per_second), None
    heard_s = clock(audio) if audio else seconds
    for packet in until_it_breaks(container.demux([video, audio] if audio else [video]), []):
        finder.see(packet)
        ticks = packet.pts if packet.dts is None else packet.dts
        if not packet.size:
            continue
        if packet.stream is not video:
            sound_s = heard_s(ticks) if ticks is not None and video_s is not None else 0.0
            if sound_s - (video_s or 0.0) > limits.sound_beyond_seconds:
                raise MediaError("audio_too_long", name, limit=limits.sound_beyond_seconds)
            continue
        frames += 1
        if frames > limits.frames:
            raise MediaError(
                "video_too_long", name, seconds=source.duration_s, frames=frames,
                limit=limits.seconds, frame_limit=limits.frames,
            )  # fmt: skip
        if finder.parts != parts:
            parts, density = finder.parts, Density(limits.frames_per_second)
        video_s = video_s if ticks is None else seconds(ticks)
        if video_s is not None and density.exceeded(video_s):
            rate = limits.frames_per_second
            raise MediaError("frame_rate_too_high", name, rate=rate + 1, limit=rate)
    return finder

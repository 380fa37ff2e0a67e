"""A look at all packets of a file whose packets tell no timeline, before its frames are decoded.

Does: find where the clock starts anew and where there is sound.  Does not: decode, or keep packets.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mllm_affect.media.beside import Heard
from mllm_affect.media.decoding.interleaved import until_it_breaks
from mllm_affect.media.decoding.opening import main_audio, main_video, open_media
from mllm_affect.media.decoding.restarts import Moves, RestartFinder
from mllm_affect.media.limits import DEFAULT_LIMITS
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.types import Source
from mllm_affect.media.warnings import joined, warn

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class Survey:
    """What was found: `source` with the warnings about it, how packets are to be moved, `heard`
    where there is sound then."""

    source: Source
    moves: Moves
    heard: Heard | None


def surveyed(source: Source) -> Survey:
    """Look at a source's packets.

    Raises UserError as opening does, `no_video`, `video_too_long`, `clock_restarts`.
    """
    with open_media(source.path) as container:
        finder = _seen(container, source)
    moves = finder.moves()
    if moves.times:
        warning = warn("clock_restarts", times=moves.times)
        source = replace(source, warnings=joined(source.warnings, (warning,)))
    return Survey(source, moves, finder.heard())


def _seen(container: "InputContainer", source: Source) -> RestartFinder:
    video, audio = main_video(container), main_audio(container)
    if video is None:
        raise MediaError("no_video", source.path.name)
    finder, frames, limits = RestartFinder(video, source.path.name), 0, DEFAULT_LIMITS
    for packet in until_it_breaks(container.demux([video, audio] if audio else [video]), []):
        finder.see(packet)
        frames += packet.stream is video
        if frames > limits.frames:
            raise MediaError(
                "video_too_long", source.path.name, seconds=0.0, frames=frames,
                limit=limits.seconds, frame_limit=limits.frames,
            )  # fmt: skip
    return finder

"""The look at a video's packets that comes before its first picture is decoded.

Does: find the timeline; keep a short file's packets, so that nothing is read twice.  Does not:
decode pictures.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mllm_affect.cores import usable_cores
from mllm_affect.media.cutting import Hear, read_timeline, video_of
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.begun import Begun
from mllm_affect.media.decoding.held import Held
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.stream_choice import main_audio
from mllm_affect.media.decoding.timeline import Timeline
from mllm_affect.media.types import Source

if TYPE_CHECKING:
    from av.packet import Packet


@dataclass(frozen=True)
class Look:
    """What a look found: the timeline, and the packets where they are few."""

    timeline: Timeline
    held: Held | None


@contextmanager
def looked_at(source: Source) -> Iterator[Look | None]:
    """Look at a source's packets; None where they tell no timeline that can be trusted.

    The file stays open while packets are held.  Raises UserError as read_timeline and opening do.
    """
    with ExitStack() as opening:
        container = opening.enter_context(open_media(source.path, source.chosen))
        video, audio = video_of(container, source), main_audio(container, source.chosen)
        if usable_cores() > 1:
            pool, begun = ThreadPoolExecutor(1, THREAD), Begun(video)
            opening.callback(pool.shutdown, cancel_futures=True)
            opening.callback(begun.close)
            held = Held(video, audio, pool, begun)
        else:
            begun, held = None, Held(video, audio)
        timeline = read_timeline(container, source, held.see)
        if begun is not None:
            begun.stop()
        keep = timeline is not None and held.whole
        if not keep:
            opening.close()
        yield Look(timeline, held if keep else None) if timeline is not None else None


def timeline_of(source: Source, hear: Hear) -> Timeline | None:
    """Return a source's timeline, None as `looked_at` does; audio packets are handed to `hear`."""
    with open_media(source.path, source.chosen) as container:
        audio = main_audio(container, source.chosen)

        def see(packet: "Packet[Any]") -> None:
            if packet.stream is audio:
                hear(packet)

        return read_timeline(container, source, see)

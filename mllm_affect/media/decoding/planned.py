"""Decoding no more of a video than the frames that somebody needs, exactly.

Does: follow a timeline; decode the packets that the needed frames depend on, yield these frames.
Does not: choose frames, or cut.  Why it is exact stands in docs/design/0014.
"""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.cores import usable_cores
from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.decoding.timeline import Timeline

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


MOST_THREADS = 16
"""As FFmpeg bounds them."""


class UnplannedError(Exception):
    """Decoding a part of the packets went otherwise than the timeline says: decode them all."""


def planned_frames(
    video: "VideoStream",
    packets: "Iterator[Packet[Any]]",
    timeline: Timeline,
    needed_N: NDArray[np.bool_],
    skip: bool,
) -> Iterator[TimedFrame]:
    """Yield the needed frames in the order of their time, `index` being their place in it.

    Without `skip` every packet is decoded up to the last needed frame, and a frame that cannot be
    decoded is replaced by the picture on show before it, at the beginning by the first that can.
    With `skip` anything unexpected raises UnplannedError.
    """
    wanted = chain(np.flatnonzero(needed_N).data, (None,))
    ticks, base = timeline.ticks_N, timeline.time_base
    next_ = next(wanted)
    shown: VideoFrame | None = None
    for picture in _pictures(video, packets, timeline, needed_N, skip):
        if picture.pts is None or (skip and (picture.is_corrupt or picture.interlaced_frame)):
            if skip:
                raise UnplannedError
            continue
        while next_ is not None and ticks[next_] < picture.pts:
            if skip:
                raise UnplannedError
            yield TimedFrame(base, next_, int(ticks[next_]), 0, shown or picture)
            next_ = next(wanted)
        if next_ is not None and ticks[next_] == picture.pts:
            yield TimedFrame(base, next_, picture.pts, int(picture.duration or 0), picture)
            next_ = next(wanted)
        if next_ is None:
            return
        shown = None if skip else picture
    if skip and next_ is not None:
        raise UnplannedError
    while next_ is not None and shown is not None:
        yield TimedFrame(base, next_, int(ticks[next_]), 0, shown)
        next_ = next(wanted)


def _pictures(
    video: "VideoStream",
    packets: "Iterator[Packet[Any]]",
    timeline: Timeline,
    needed_N: NDArray[np.bool_],
    skip: bool,
) -> "Iterator[VideoFrame]":
    """Decode the packets that these frames need, without `skip` all of them."""
    video.thread_type = "AUTO"
    # FFmpeg itself takes one more, for a caller who does other work between pictures; here that is
    # done in another thread (see ahead).
    video.codec_context.thread_count = min(usable_cores(), MOST_THREADS)
    packets_P = timeline.packets_for(needed_N) if skip else np.ones_like(timeline.flags_P)
    send = packets_P.tobytes()
    number = 0
    for packet in packets:
        if packet.size or packet.pts is not None:
            number += 1
            if number > len(send):
                raise UserError(
                    "source_changed", "The file grew while it was being read; read it again."
                )
            if not send[number - 1]:
                continue
        try:
            pictures = video.decode(packet)
        except av.FFmpegError as error:
            if skip:
                raise UnplannedError from error
            continue
        yield from pictures

"""Decoding no more of a video than the frames that somebody needs, exactly.

Does: plan from a timeline what must be decoded; decode the packets that the needed frames depend
on, yield these frames.  Does not: choose frames, or cut.  Why it is exact stands in
docs/design/0014.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.cores import batch_threads, usable_cores
from mllm_affect.errors import UserError
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.decoding.timeline import Timeline
from mllm_affect.media.warnings import warn

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame


MOST_THREADS = 16
"""As FFmpeg bounds them."""


class Decodes(Protocol):
    """As much of a decoder as is used here."""

    def decode(self, packet: "Packet[Any] | None") -> "list[VideoFrame]":
        """Return the pictures that this packet completes.  Raises av.FFmpegError."""

    def flush_buffers(self) -> None:
        """Forget what was decoded."""


class UnplannedError(Exception):
    """Decoding a part of the packets went otherwise than the timeline says: decode them all."""


@dataclass(frozen=True)
class Plan:
    """What to decode of packets that follow each other, and which frames are wanted of them.

    send: a byte a packet, 0 for one that is left out.  wanted_F: places in the timeline, rising.
    skip: whether anything is left out, so that nothing unexpected may happen.
    """

    timeline: Timeline
    send: bytes
    wanted_F: NDArray[np.intp]
    skip: bool

    @classmethod
    def of(cls, timeline: Timeline, needed_N: NDArray[np.bool_], skip: bool) -> "Plan":
        """Return the plan of a whole video; without `skip` every packet is decoded."""
        packets_P = timeline.packets_for(needed_N) if skip else np.ones_like(timeline.flags_P)
        return cls(timeline, packets_P.tobytes(), np.flatnonzero(needed_N), skip)


def with_threads(decoder: "VideoCodecContext", count: int) -> "VideoCodecContext":
    """Open a decoder, unless it is open, with so many threads; return it."""
    # FFmpeg itself takes one more, for a caller who does other work between pictures; here that is
    # done in another thread (see ahead).
    if decoder.is_open:
        return decoder
    decoder.thread_type = "AUTO"
    decoder.thread_count = max(1, min(count, usable_cores(), MOST_THREADS))
    # Decoders wait for each other at every row of blocks: one that wakes would push aside whoever
    # hands packets to them, and that costs more than it gains.
    with batch_threads(), suppress(av.FFmpegError):  # what cannot be opened cannot decode either
        decoder.open(strict=False)
    return decoder


def planned_frames(
    decoder: Decodes, packets: "Iterator[Packet[Any] | None]", plan: Plan
) -> Iterator[TimedFrame]:
    """Yield the wanted frames in the order of their time, `index` being their place in it.

    Where nothing is left out, packets are decoded up to the last wanted frame, and a frame that
    cannot be decoded is replaced by the picture on show before it, at the beginning by the first
    that can.  Where something is, anything unexpected raises UnplannedError.
    """
    skip = plan.skip
    wanted = chain(plan.wanted_F.data, (None,))
    ticks, base = plan.timeline.ticks_N, plan.timeline.time_base
    next_ = next(wanted)
    shown: VideoFrame | None = None
    damaged = (warn("pictures_damaged"),)
    for picture in _pictures(decoder, packets, plan):
        if picture.pts is None or (skip and (picture.is_corrupt or picture.interlaced_frame)):
            if skip:
                raise UnplannedError
            continue
        while next_ is not None and ticks[next_] < picture.pts:
            if skip:
                raise UnplannedError
            yield TimedFrame(base, next_, int(ticks[next_]), 0, shown or picture, damaged)
            next_ = next(wanted)
        if next_ is not None and ticks[next_] == picture.pts:
            warnings = damaged if picture.is_corrupt else ()
            own = int(picture.duration or 0)
            yield TimedFrame(base, next_, picture.pts, own, picture, warnings)
            next_ = next(wanted)
        if next_ is None:
            return
        shown = None if skip else picture
    if skip and next_ is not None:
        raise UnplannedError
    while next_ is not None and shown is not None:
        yield TimedFrame(base, next_, int(ticks[next_]), 0, shown, damaged)
        next_ = next(wanted)


def _pictures(
    decoder: Decodes, packets: "Iterator[Packet[Any] | None]", plan: Plan
) -> "Iterator[VideoFrame]":
    """Decode the packets that are to be; after the last, None or an empty one asks for the rest."""
    number = 0
    for packet in packets:
        if packet is not None and (packet.size or packet.pts is not None):
            number += 1
            if number > len(plan.send):
                raise UserError(
                    "source_changed", "The file grew while it was being read; read it again."
                )
            if not plan.send[number - 1]:
                continue
        try:
            pictures = decoder.decode(packet)
        except av.FFmpegError as error:
            if plan.skip:
                raise UnplannedError from error
            continue
        yield from pictures

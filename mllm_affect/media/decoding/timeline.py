"""The timeline of a video from its packets alone, where it is plainly trustworthy.

Does: find every frame's timestamp without decoding; say which packets must be decoded so that
chosen frames come out exactly.  Does not: decode, cut, or guess: where anything is odd there is no
timeline, and whoever asked decodes everything.  See docs/design/0004.
"""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.coded import (
    LAYER_SHIFT,
    LEADING,
    PARAMETERS,
    REACHES_BACK,
    REFERENCE,
    RESTARTS,
    ReadPicture,
    picture_reader,
    sequence_parameters,
)
from mllm_affect.media.sound_overhang import TimeExtent

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

INTRA_CODECS = frozenset({"mjpeg", "prores", "ffv1", "png", "rawvideo"})
"""Every packet is one picture; each stands alone where the container marks all as key frames."""

EXACT_IN_FLOAT = 1 << 53


@dataclass(frozen=True)
class Timeline:
    """Frames in the order of their time, packets in the order of decoding; one for one.

    ticks_N: int64, strictly rising, in `time_base` seconds.  last_ticks: how long the file says
    that the last frame lasts, 0 when it does not say.  frame_P: the frame in each packet.
    flags_P: what coded says about each packet.  near: whether one opening is enough for pictures
    and sound (see interleaved).  heard: where there is sound.
    """

    time_base: Fraction
    ticks_N: NDArray[np.int64]
    last_ticks: int
    frame_P: NDArray[np.int32]
    flags_P: NDArray[np.uint8]
    near: bool = False
    heard: TimeExtent | None = None

    def seconds(self) -> NDArray[np.float64]:
        """Every frame's timestamp in seconds, as TimedFrame.time_s gives it."""
        over, under = self.time_base.as_integer_ratio()
        largest = int(np.abs(self.ticks_N[[0, -1]]).max())
        if max(largest * over, under) < EXACT_IN_FLOAT:  # one rounding, as in Fraction
            return self.ticks_N * over / under
        return np.array([float(ticks * self.time_base) for ticks in self.ticks_N.tolist()])

    def packets_for(self, needed_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Say which packets must be decoded so that these frames come out as from all packets.

        A packet is left out when its frame is not needed and no needed frame after it, up to the
        next restart, can refer to it.
        """
        top_layer = int(self.flags_P.max(initial=0)) >> LAYER_SHIFT
        later = later_leading = reaching_back = False
        send = np.zeros(len(self.frame_P), dtype=np.bool_)
        # As bytes: of an hour, lists are a MiB.
        needed, flags = needed_N[self.frame_P].tobytes(), self.flags_P.tobytes()
        for place in range(len(flags) - 1, -1, -1):
            about = flags[place]
            leading = bool(about & LEADING)
            referred = about & REFERENCE or about >> LAYER_SHIFT < top_layer
            wanted = later_leading if leading else later or later_leading
            if needed[place] or (wanted and referred) or about & PARAMETERS:
                send[place] = True
            if needed[place]:
                later, later_leading = later or not leading, later_leading or leading
                reaching_back = reaching_back or bool(about & REACHES_BACK)
            if about & RESTARTS:
                later, later_leading, reaching_back = reaching_back, False, False
        return send


class TimelineReader:
    """Takes every video packet of a file in order; has a timeline unless something was odd."""

    def __init__(self, stream: "VideoStream") -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name
        self._time_base = Fraction(stream.time_base or Fraction(1, 1_000_000))
        self._intra = codec in INTRA_CODECS
        self._codec, self._extradata = codec, context.extradata or b""
        self._parameters = self._extradata
        self._read: ReadPicture | None = picture_reader(codec, context.extradata)
        self._odd = not self._intra and self._read is None
        self._ticks = array("q")  # an hour of frames as a list is 4 MiB
        self._flags = bytearray()
        self._last = (-1, 0)

    @property
    def odd(self) -> bool:
        """Whether there will be no timeline, whatever follows."""
        return self._odd

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next packet; the empty ones that end a stream do not count."""
        if self._odd or (not packet.size and packet.pts is None and packet.dts is None):
            return
        flags = self._flags_of(packet)
        pts = packet.pts
        if flags is None or pts is None or packet.is_corrupt or packet.is_discard:
            self._odd = True
            return
        if flags & PARAMETERS and not self._same_parameters(packet):
            self._odd = True
            return
        self._ticks.append(pts)
        self._flags.append(flags)
        if pts > self._last[0] or len(self._ticks) == 1:
            self._last = (pts, packet.duration or 0)

    def _flags_of(self, packet: "Packet[Any]") -> int | None:
        # To ask for one kind takes ten times as long as to see that there is none.
        beside = next(packet.iter_sidedata(), None) is not None
        if not packet.size or (beside and packet.has_sidedata("new_extradata")):
            return None
        if self._intra:
            return RESTARTS | REFERENCE if packet.is_keyframe else None
        assert self._read is not None
        return self._read(memoryview(packet))

    def _same_parameters(self, packet: "Packet[Any]") -> bool:
        """Whether the pictures keep their size and kind, as far as a packet's parameters tell."""
        found = sequence_parameters(self._codec, self._extradata, memoryview(packet))
        if found and not self._ticks:
            self._parameters = b"".join(found)
        return all(one in self._parameters for one in found)

    def timeline(self) -> Timeline | None:
        """Return the timeline after the last packet, None where it cannot be trusted."""
        if self._odd or not self._ticks:
            return None
        ticks_P = np.frombuffer(self._ticks, dtype=np.int64)
        flags_P = np.frombuffer(bytes(self._flags), dtype=np.uint8)
        order = np.argsort(ticks_P, kind="stable")
        frame_P = np.empty(len(order), dtype=np.int32)
        frame_P[order] = np.arange(len(order), dtype=np.int32)
        ticks_N = ticks_P[order]
        if np.any(np.diff(ticks_N) <= 0) or not _groups_follow_each_other(frame_P, flags_P):
            return None
        return Timeline(self._time_base, ticks_N, self._last[1], frame_P, flags_P)


def _groups_follow_each_other(frame_P: NDArray[np.int32], flags_P: NDArray[np.uint8]) -> bool:
    """Whether each restart's group of frames lies after the group before, and nothing is lost."""
    starts = np.flatnonzero(flags_P & RESTARTS)
    if not len(starts) or starts[0] != 0:
        return False
    first_group = flags_P[: starts[1] if len(starts) > 1 else len(flags_P)]
    if np.any(first_group & REACHES_BACK):
        return False  # decoders drop them: there is nothing to reach back to
    inner = flags_P & ~np.uint8(RESTARTS)
    if np.any((inner & PARAMETERS).astype(np.bool_) & ~(flags_P & RESTARTS).astype(np.bool_)):
        return False  # parameters that change within a group
    firsts = np.minimum.reduceat(frame_P, starts)
    return bool(np.all(firsts == starts))

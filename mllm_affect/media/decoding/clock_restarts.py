"""Timestamps that restart within a file, as in recordings that were joined byte by byte.

Does: find from all packets where timestamps restart, and by how much each part has to be shifted so
that it follows the one before; shift packets.  Does not: open files, or decode.

A part is moved as a whole, sound and pictures alike: its beginning comes to where the longer of the
two ended before.  A clock that wraps (MPEG-TS, every 26.5 hours) is put right in the same way.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from av.packet import Packet

from mllm_affect.media.decoding.interleaved import BACK_S
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.sound_overhang import OVERHANG_S, TimeExtent

if TYPE_CHECKING:
    from av.video.stream import VideoStream

MOST_PARTS = 100


@dataclass
class _Track:
    """One stream within one part; times in seconds on the part's own clock."""

    ordinal: int
    first_s: float
    last_s: float
    end_s: float
    packets: int = 0

    def see(self, time_s: float, length_s: float) -> None:
        self.packets += 1
        self.first_s, self.last_s = min(self.first_s, time_s), max(self.last_s, time_s)
        if length_s <= 0 and self.packets > 1:
            length_s = (self.last_s - self.first_s) / (self.packets - 1)
        self.end_s = max(self.end_s, time_s + length_s)


@dataclass(frozen=True)
class TimestampShifts:
    """From which packet of a stream on, counted from 0, times are to be moved by how many ticks.

    by_stream: the streams' indices, each with its (packet, ticks) in order.
    """

    by_stream: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = ()

    @property
    def times(self) -> int:
        """How often time is counted anew."""
        return max((len(moves) for _, moves in self.by_stream), default=0)

    def of(self, stream: int) -> tuple[tuple[int, int], ...]:
        """Return the moves of a stream."""
        return dict(self.by_stream).get(stream, ())

    def applied(self, packets: "Iterable[Packet[Any]]") -> "Iterator[Packet[Any]]":
        """Yield one opening's packets of these streams, from the first on, each moved in place."""
        todo = {index: list(reversed(moves)) for index, moves in self.by_stream}
        counted, by = dict.fromkeys(todo, 0), dict.fromkeys(todo, 0)
        for packet in packets:
            index = packet.stream_index
            if index in counted and packet.size:
                if todo[index] and counted[index] == todo[index][-1][0]:
                    by[index] = todo[index].pop()[1]
                counted[index] += 1
                if by[index]:
                    packet = _moved(packet, by[index])
            yield packet


def _moved(packet: "Packet[Any]", ticks: int) -> "Packet[Any]":
    if packet.is_discard:  # FFmpeg takes pictures of joined fragments for those before an edit list
        kept: Packet[Any] = Packet(bytes(packet))
        kept.stream, kept.time_base, kept.duration = (
            packet.stream,
            packet.time_base,
            packet.duration,
        )
        kept.pts, kept.dts, kept.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
        packet = kept
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
    return packet


NO_SHIFTS = TimestampShifts()
"""Of a file whose clock never starts anew."""


class RestartFinder:
    """Takes every packet of a video and its sound in the file's order.

    Raises UserError `clock_restarts` from `see` or `moves` where the parts cannot be told exactly.
    """

    def __init__(self, video: "VideoStream", name: str) -> None:
        self._video, self._name = video.index, name
        self._parts: list[dict[int, _Track]] = [{}]
        self._part_of: dict[int, int] = {}
        self._behind: set[int] = set()
        self._count: dict[int, int] = {}
        self._bases: dict[int, Fraction] = {}

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next packet."""
        if not packet.size:
            return
        index = packet.stream.index
        ordinal = self._count.get(index, 0)
        self._count[index] = ordinal + 1
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None:
            return
        over, under = self._bases.setdefault(index, packet.time_base).as_integer_ratio()
        time_s, length_s = ticks * over / under, (packet.duration or 0) * over / under
        part = self._part(index, time_s, packet.is_keyframe)
        if packet.is_discard and not part:  # an edit list leaves it out
            return
        tracks = self._parts[part]
        if index not in tracks:
            tracks[index] = _Track(ordinal, time_s, time_s, time_s)
        tracks[index].see(time_s, length_s)

    def _part(self, index: int, time_s: float, is_key: bool) -> int:
        """Return the part that a packet belongs to."""
        part, newest = self._part_of.setdefault(index, 0), len(self._parts) - 1
        here = self._parts[part].get(index)
        # Of pictures only key frames: others are shown in another order than they are coded in.
        goes_back = here is not None and (
            time_s < here.last_s - BACK_S
            or (time_s <= here.first_s and time_s < self._latest_s(part) - BACK_S)
        )
        if goes_back and (is_key or index != self._video):
            if part == newest:
                if len(self._parts) == MOST_PARTS:
                    raise self._refused("sound or pictures")
                self._parts.append({})
                newest += 1
        elif part < newest and not self._is_nearer(time_s, part, newest):
            self._behind.add(index)
            return part
        self._behind.discard(index)
        self._part_of[index] = newest
        return newest

    def _latest_s(self, part: int) -> float:
        """Return how far a part has come; a stream may have had little in it."""
        return max(track.last_s for track in self._parts[part].values())

    def _is_nearer(self, time_s: float, old: int, new: int) -> bool:
        """Whether a time lies nearer to where the new part is than to where the old one ended."""

        def distance(part: int) -> float:
            times = (track.last_s for track in self._parts[part].values())
            return min((abs(time_s - last_s) for last_s in times), default=float("inf"))

        return distance(new) < distance(old)

    def heard(self) -> TimeExtent | None:
        """Return where sound is stated, all parts being moved; None where there is none."""
        return self._span(pictures=False)

    def shown(self) -> TimeExtent | None:
        """Return where pictures are stated, all parts being moved; None where there are none."""
        return self._span(pictures=True)

    @property
    def parts(self) -> int:
        """How many parts were found so far."""
        return len(self._parts)

    @property
    def frames(self) -> int:
        """How many packets of pictures were seen, those that an edit list leaves out aside."""
        return sum(part[self._video].packets for part in self._parts if self._video in part)

    def _span(self, pictures: bool) -> TimeExtent | None:
        found = [
            (track.first_s + offset_s, track.end_s + offset_s)
            for tracks, offset_s in zip(self._parts, self._offsets_s(), strict=True)
            for index, track in tracks.items()
            if (index == self._video) == pictures
        ]
        return TimeExtent(min(found)[0], max(end_s for _, end_s in found)) if found else None

    def moves(self) -> TimestampShifts:
        """Return how packets are to be moved, after the last was seen."""
        if self._behind:
            raise self._refused("sound" if self._video in self._behind else "pictures")
        by_stream: dict[int, list[tuple[int, int]]] = {}
        for tracks, offset_s in [*zip(self._parts, self._offsets_s(), strict=True)][1:]:
            for index, track in tracks.items():
                ticks = round(offset_s / self._bases[index])
                by_stream.setdefault(index, []).append((track.ordinal, ticks))
        return TimestampShifts(tuple((index, tuple(moves)) for index, moves in by_stream.items()))

    def _offsets_s(self) -> list[float]:
        """Return by how much each part is to be moved, the first not at all."""
        offsets_s = [0.0]
        for before, part in pairwise(self._parts):
            ended_s = offsets_s[-1] + max((one.end_s for one in before.values()), default=0.0)
            offsets_s.append(ended_s - self._begins_s(part))
        return offsets_s

    def _begins_s(self, part: Mapping[int, _Track]) -> float:
        """Return where a part begins; sound a little before the pictures is a coder's padding."""
        first_s = min((track.first_s for track in part.values()), default=0.0)
        pictures = part.get(self._video)
        if pictures is not None and pictures.first_s - first_s <= OVERHANG_S:
            return pictures.first_s
        return first_s

    def _refused(self, kind: str) -> MediaError:
        return MediaError("clock_restarts", self._name, kind=kind, limit=MOST_PARTS)

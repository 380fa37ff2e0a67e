"""Decoding groups of pictures beside each other: as exact as one after the other, and faster.

Does: part a plan where decoding starts anew; decode several parts at once, each by a decoder of its
own, and yield their frames in order.  Does not: open files.

Decoders that share the pictures of one group wait for each other (a fifth of their time with two);
those of two groups do not.  What is decoded before its turn is held in memory, and bounded.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice, pairwise
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from mllm_affect.cores import usable_cores
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.coded import PARAMETERS, REACHES_BACK, RESTARTS
from mllm_affect.media.decoding.frames import TimedFrame, pictures_in
from mllm_affect.media.decoding.late import Late, reach
from mllm_affect.media.decoding.planned import MOST_THREADS, Decodes, Plan, planned_frames

if TYPE_CHECKING:
    from av.packet import Packet

SHORTEST = 12
"""Pictures; a decoder is not handed fewer at a time."""
LONGEST = 1_000
"""Pictures of a group whose packets are held: coders start anew every 250 unless told otherwise."""
HELD_BYTES = 96 << 20
"""Of pictures that wait for their turn."""


def parted(plan: Plan) -> list[Plan]:
    """Part a plan at packets that need nothing before them, but not into very short groups.

    A group from which no frame is wanted sends nothing; after the last that is, there is none.
    """
    flags_P = plan.timeline.flags_P
    if not plan.skip or np.any(flags_P & PARAMETERS):  # a decoder would miss those of other groups
        return [plan]
    starts = np.flatnonzero(flags_P & RESTARTS)
    reaching = np.bitwise_or.reduceat(flags_P, starts) & REACHES_BACK
    bounds = [0]
    for start, reaches in zip(starts.tolist(), reaching.tolist(), strict=True):
        if not reaches and start - bounds[-1] >= SHORTEST:
            bounds.append(start)
    bounds.append(len(flags_P))
    # Each group's frames have the places of its packets (see timeline).
    places = np.searchsorted(plan.wanted_F, bounds).tolist()
    groups = [
        Plan(plan.timeline, plan.send[begin:end], plan.wanted_F[first:beyond], skip=True)
        for (begin, end), (first, beyond) in zip(pairwise(bounds), pairwise(places), strict=True)
    ]
    while len(groups) > 1 and not len(groups[-1].wanted_F):
        groups.pop()  # or their packets were read, and the sound between them held, for nothing
    return groups


def most_waiting(pixels: int) -> int:
    """Return how many pictures of this size may wait for their turn."""
    return pictures_in(HELD_BYTES, pixels)


def groups_at_once(groups: Sequence[Plan], waiting: int) -> int:
    """Return how many groups to decode at a time: 1 where there is no gain, or too much to hold.

    `waiting` is how many pictures may wait for their turn.
    """
    busy = [len(group.wanted_F) for group in groups if len(group.wanted_F)]
    if len(busy) < 2 or max(len(group.send) for group in groups) > LONGEST:
        return 1
    return min(len(busy), 1 + waiting // max(busy), usable_cores(), MOST_THREADS)


def last_is_alone(groups: Sequence[Plan], at_once: int) -> bool:
    """Whether the last group would be decoded when no other is left, so many being at a time."""
    busy = sum(1 for group in groups if len(group.wanted_F))
    return busy > at_once > 1 and busy % at_once == 1


def frames_of_groups(
    decoders: Sequence[Decodes],
    packets: "Iterator[Packet[Any]]",
    groups: Sequence[Plan],
    waiting: int,
    last: Decodes | None = None,
) -> Generator[TimedFrame]:
    """Yield the wanted frames of all groups in order, as planned_frames does for one.

    The first of the decoders decodes the first group from which frames are wanted.  Where there is
    one for the `last` alone, that begins when the others have no more left than it has (see Late).
    At most `waiting` frames wait for their turn, besides the group that is being taken.
    Close this generator before anything that it uses: then no thread is left.
    Raises UnplannedError.
    """
    busy = [group for group in groups if len(group.wanted_F)]
    work = _Work(decoders, None if last is None else Late(busy, len(decoders), last))
    todo, coming = deque(groups), deque[tuple[Plan, _Given]]()
    try:
        while todo or coming:
            while todo and _has_room(coming, todo[0], len(decoders), waiting):
                group = todo.popleft()
                own = list(islice(packets, len(group.send)))
                if len(group.wanted_F):
                    coming.append((group, work.begin(group, own, group is busy[0])))
            if coming:
                yield from _taken(coming.popleft()[1])
    finally:
        work.end()


_Given = SimpleQueue[TimedFrame | BaseException | None]
"""The frames of a group as they come, then None, or what went wrong."""


def _has_room(coming: deque[tuple[Plan, _Given]], group: Plan, decoders: int, waiting: int) -> bool:
    """Whether one more group may be decoded; frames of the first are taken as they come."""
    if not coming:
        return True
    behind = sum(len(one.wanted_F) for one, _ in islice(coming, 1, None))
    return len(coming) <= decoders and behind + len(group.wanted_F) <= waiting


def _taken(given: _Given) -> Iterator[TimedFrame]:
    while (one := given.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one


class _Work:
    """Threads that take a group each, and a decoder for it: the first group the first decoder."""

    def __init__(self, decoders: Sequence[Decodes], late: Late | None) -> None:
        self._first, *others = decoders
        self._free: SimpleQueue[Decodes] = SimpleQueue()
        for decoder in others:
            self._free.put(decoder)
        self._late = late
        self._pool = ThreadPoolExecutor(len(decoders) + (late is not None), THREAD)
        self._stop = Event()

    def begin(self, group: Plan, packets: "list[Packet[Any]]", first: bool) -> _Given:
        """Decode a group as soon as a decoder is free; return where its frames come."""
        given: _Given = SimpleQueue()
        self._pool.submit(self._decode, group, packets, given, first)
        return given

    def end(self) -> None:
        """Stop after the packets at hand."""
        self._stop.set()
        if self._late is not None:
            self._late.end()
        self._pool.shutdown(cancel_futures=True)

    def _decode(
        self, group: Plan, packets: "list[Packet[Any]]", given: _Given, first: bool
    ) -> None:
        if self._late is not None and group is self._late.group:
            self._late.wait()
            self._decode_by(self._late.decoder, group, packets, given)
            return
        decoder = self._first if first else self._free.get()
        try:
            self._decode_by(decoder, group, packets, given)
        finally:
            decoder.flush_buffers()
            self._free.put(decoder)

    def _decode_by(
        self, decoder: Decodes, group: Plan, packets: "list[Packet[Any]]", given: _Given
    ) -> None:
        try:
            with closing(self._until_stopped(group, packets)) as until:
                for frame in planned_frames(decoder, until, group):
                    given.put(frame)
            given.put(None)
        except BaseException as error:  # raised where the frames are taken
            given.put(error)

    def _until_stopped(
        self, group: Plan, packets: "list[Packet[Any]]"
    ) -> "Generator[Packet[Any] | None]":
        left = reach(group)
        try:
            for packet in packets:
                if self._stop.is_set():
                    return
                yield packet
                if left and self._late is not None:
                    self._late.passed(1)
                    left -= 1
            yield None
        finally:
            if self._late is not None:
                self._late.passed(left)

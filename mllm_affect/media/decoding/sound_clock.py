"""Where decoded sound belongs, given timestamps that wobble, drift, jump or are right.

Does: say of each piece whether it follows the one before or begins elsewhere, and by how much sound
is to be stretched so that it stays in place.  Does not: decode, or touch samples.

Samples count time better than timestamps do.  A piece follows the one before while its timestamp is
within GAP_S of where that one ended; nothing is looked at ahead then.  Otherwise the pieces after
it tell a gap, from which on all are late, from a clock that wobbles, whose samples are kept
together.
See docs/design/0036.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Generic, TypeVar

T = TypeVar("T")

GAP_S = 0.005
"""A timestamp this far from where the last samples ended is no rounding."""
GLIDE_S = 0.010
"""A step up to this is no missing sound: the shortest usual packets are 20 ms.  It is drift."""
MOST_WOBBLE_S = 0.040
NEXT = 20
"""Pieces that are looked at ahead to tell a gap from a wobble."""
MANY = 400
"""Pieces over which a wobbling clock is averaged: 8 s of AAC or Opus."""
NEXT_S, MANY_S = 2.0, 10.0
"""No more is looked at ahead, however long the pieces are."""
NEAR_ENOUGH_S = 0.003


@dataclass(frozen=True)
class Piece(Generic[T]):
    """Some decoded sound; `begins_s` is its timestamp, None where it has none."""

    sound: T
    begins_s: float | None
    length_s: float


@dataclass(frozen=True)
class Put(Generic[T]):
    """A piece in its place.

    `jump_s`: where it begins, None where it follows the one before.  `stretch_s`: by so much the
    sound from here on is to be made longer, little by little.  `wobbles`: its timestamp was not
    believed.
    """

    sound: T
    length_s: float
    at_s: float
    jump_s: float | None = None
    stretch_s: float = 0.0
    wobbles: bool = False


class SoundClock(Generic[T]):
    """Takes the pieces of one stream in order and gives them back in their places."""

    def __init__(self) -> None:
        self._expected_s: float | None = None
        self._waiting: deque[Piece[T]] = deque()
        self._wobbles = False
        self._recent: deque[float] = deque(maxlen=MANY)
        self._seen = 0

    def see(self, piece: Piece[T]) -> Iterator[Put[T]]:
        """Take the next piece; yield those whose places are known now."""
        if not self._waiting and not self._wobbles and self._expected_s is not None:
            begins_s, expected_s = piece.begins_s, self._expected_s
            if begins_s is None or abs(begins_s - expected_s) <= GAP_S:
                self._expected_s += piece.length_s
                yield Put(piece.sound, piece.length_s, expected_s)
                return
        self._waiting.append(piece)
        yield from self._decided(ended=False)

    def finish(self) -> Iterator[Put[T]]:
        """Yield the pieces that still wait: no more will come."""
        yield from self._decided(ended=True)

    def _decided(self, ended: bool) -> Iterator[Put[T]]:
        while self._waiting:
            put = self._first(ended)
            if put is None:
                return
            self._waiting.popleft()
            self._expected_s = put.at_s + put.length_s
            yield put

    def _first(self, ended: bool) -> Put[T] | None:
        """Return the first waiting piece in its place, None until more is known."""
        piece, expected_s = self._waiting[0], self._expected_s
        starting = expected_s is None
        at_s = (piece.begins_s or 0.0) if expected_s is None else expected_s
        late_s = 0.0 if piece.begins_s is None else piece.begins_s - at_s
        if not starting and abs(late_s) <= GAP_S:
            return self._following(piece, at_s, late_s)
        if not (ended or self._waits(NEXT, NEXT_S)):
            return None
        coming = self._late(at_s, NEXT)
        wobbles = self._wobbles or not _steady(coming)
        if wobbles and not starting and abs(late_s) <= MOST_WOBBLE_S:
            self._wobbles = True
            return self._following(piece, at_s, late_s)
        if not wobbles:
            if starting or abs(late_s) > GLIDE_S:
                begins_s = at_s + late_s
                return Put(piece.sound, piece.length_s, begins_s, jump_s=begins_s)
            return Put(piece.sound, piece.length_s, at_s + late_s, stretch_s=late_s)
        alike = sum(abs(one - late_s) <= MOST_WOBBLE_S for one in coming)
        if not starting and alike < 0.8 * len(coming):  # a timestamp that stands alone
            self._wobbles = True
            return Put(piece.sound, piece.length_s, at_s, wobbles=True)
        if not (ended or self._waits(MANY, MANY_S)):
            return None
        self._wobbles = True
        self._recent.clear()
        begins_s = at_s + _level(self._late(at_s, MANY))
        return Put(piece.sound, piece.length_s, begins_s, jump_s=begins_s, wobbles=True)

    def _following(self, piece: Piece[T], at_s: float, late_s: float) -> Put[T]:
        """Return a piece that follows; a wobbling clock is followed by its mean."""
        if not self._wobbles:
            return Put(piece.sound, piece.length_s, at_s)
        self._recent.append(late_s)
        self._seen += 1
        stretch_s = 0.0
        if len(self._recent) == MANY and self._seen % NEXT == 0:
            mean_s = sum(self._recent) / MANY
            self._wobbles = max(self._recent) - min(self._recent) > 2 * GAP_S
            if abs(mean_s) > NEAR_ENOUGH_S:
                stretch_s = mean_s
                self._recent.clear()
        return Put(
            piece.sound, piece.length_s, at_s + stretch_s, stretch_s=stretch_s,
            wobbles=abs(late_s) > GAP_S,
        )  # fmt: skip

    def _waits(self, pieces: int, seconds: float) -> bool:
        """Whether so many pieces wait, or so much sound."""
        waiting = self._waiting
        return len(waiting) >= pieces or sum(one.length_s for one in waiting) >= seconds

    def _late(self, at_s: float, most: int) -> list[float]:
        """Return how much later than their samples say the first waiting pieces begin."""
        late = []
        for piece in islice(self._waiting, most):
            if piece.begins_s is not None:
                late.append(piece.begins_s - at_s)
            at_s += piece.length_s
        return late or [0.0]


def _steady(coming: Sequence[float]) -> bool:
    """Whether pieces keep a level, or step from one to another in one direction alone."""
    level, direction = 0.0, 0.0
    for late in coming:
        step = late - level
        if abs(step) <= GAP_S:
            continue
        if step * direction < 0:
            return False
        level, direction = late, step
    return True


def _level(coming: Sequence[float]) -> float:
    """Return the mean of the pieces up to the next gap."""
    middle = sorted(coming[:NEXT])[len(coming[:NEXT]) // 2]
    near = list(takewhile(lambda late: abs(late - middle) <= MOST_WOBBLE_S, coming))
    return sum(near) / len(near) if near else middle

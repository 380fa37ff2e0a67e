"""A bounded queue for places that only a few requests may hold at once, fair among owners.

Does: grant up to so many places, serve waiting owners round-robin, bound how many wait and for how
long.  Does not: know what a place is for.

A client with many requests waits behind its own: each free place goes to the next owner.
"""

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from mllm_affect.errors import EngineError, UserError


@dataclass(frozen=True)
class QueueLimits:
    """`places` in all and for `each` owner, `waiting` requests in all and for `waiting_each`."""

    places: int
    each: int
    waiting: int
    waiting_each: int
    patience_s: float = 30.0

    @classmethod
    def shared(cls, places: int, waiting: int, owners: int) -> "QueueLimits":
        """Return limits that leave something to others where there are several owners."""
        if owners <= 1:
            return cls(places, places, waiting, waiting)
        return cls(places, max(1, places - max(1, places // 4)), waiting, max(1, waiting // 4))


@dataclass(eq=False)
class QueuePlace:
    """A place that is held until `end` is called, once or several times, from any thread."""

    turns: "FairQueue"
    owner: str
    ended: bool = field(default=False)

    def end(self) -> None:
        """Give the place to the next who waits."""
        self.turns._end(self)


@dataclass(eq=False)
class _Waiting:
    granted: asyncio.Future[None]
    turn: QueuePlace


class FairQueue:
    """Places at one thing; may be used from several threads and event loops."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    @property
    def held(self) -> int:
        """How many places are taken."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    async def take(self, owner: str) -> QueuePlace:
        """Wait for a place and take it.

        Raises UserError `too_many_at_once` where the owner has too many waiting, EngineError
        `service_busy` where too many wait in all or the wait is too long.
        """
        turn = QueuePlace(self, owner)
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._waiting and self._may_have(owner):
                self._held[owner] += 1
                return turn
            self._refuse_when_full(owner)
            waiting = _Waiting(loop.create_future(), turn)
            self._waiting.setdefault(owner, deque()).append(waiting)
            self._grant()
        try:
            async with asyncio.timeout(self._limits.patience_s):
                await waiting.granted
        except TimeoutError:
            self._leave(waiting)
            raise _busy() from None
        except BaseException:
            self._leave(waiting)
            raise
        return turn

    @asynccontextmanager
    async def taken(self, owner: str) -> AsyncIterator[QueuePlace]:
        """Hold a place while the block runs, at most; raises as `take`."""
        turn = await self.take(owner)
        try:
            yield turn
        finally:
            turn.end()

    def _may_have(self, owner: str) -> bool:
        return self.held < self._limits.places and self._held[owner] < self._limits.each

    def _refuse_when_full(self, owner: str) -> None:
        if self.waiting >= self._limits.waiting:
            raise _busy()
        if len(self._waiting.get(owner, ())) >= self._limits.waiting_each:
            raise UserError(
                "too_many_at_once", "You have too many requests waiting; try again in a moment."
            )

    def _grant(self) -> None:
        """Give free places to owners in turn; the lock is held."""
        for owner in list(self._waiting):
            if not self._may_have(owner):
                continue
            queue = self._waiting.pop(owner)
            waiting = queue.popleft()
            if queue:
                self._waiting[owner] = queue  # behind the others now
            self._held[owner] += 1
            with suppress(RuntimeError):  # its event loop is closed: nobody waits there
                waiting.granted.get_loop().call_soon_threadsafe(_set, waiting.granted)

    def _leave(self, waiting: _Waiting) -> None:
        """Stop waiting; a place that was given meanwhile is given on."""
        with self._lock:
            queue = self._waiting.get(waiting.turn.owner)
            if queue is not None and waiting in queue:
                queue.remove(waiting)
                if not queue:
                    del self._waiting[waiting.turn.owner]
                return
        waiting.turn.end()

    def _end(self, turn: QueuePlace) -> None:
        with self._lock:
            if turn.ended:
                return
            turn.ended = True
            self._held[turn.owner] -= 1
            if not self._held[turn.owner]:
                del self._held[turn.owner]
            self._grant()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _busy() -> EngineError:
    return EngineError("service_busy", "The service has too much to do; try again in a moment.")

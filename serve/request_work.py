"""Work that requests wait for: decoding and asking, in threads of its own.

Does: bound how much of it runs at once, share it among owners, end it when its client has gone or
the service ends.  Does not: the work; and nothing that only reads waits here.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from mllm_affect.errors import EngineError
from mllm_affect.stopping import Stop, StoppedError
from mllm_affect.tracing import in_this_context, span
from serve.fair_queue import FairQueue, QueueLimits

R = TypeVar("R")

WORKING = 16
"""Requests that decode or wait for the model's answer at once."""

WAITING = 64
UPLOADS = 32
WRITERS, PARSERS = 4, 2


@dataclass(frozen=True)
class Work:
    """What work is told: `stop` is set when it shall end; it calls `read` once it has decoded."""

    stop: Stop
    read: Callable[[], None]


class RequestWork:
    """The work of one process's requests."""

    def __init__(self, decoders: int | None = None, owners: int = 1) -> None:
        """Prepare; `decoders`: at once, None for one a core; `owners`: who share them."""
        places = decoders or os.cpu_count() or 1
        self.decoding = FairQueue(QueueLimits.shared(places, WAITING, owners))
        self.working = FairQueue(QueueLimits.shared(WORKING, WAITING, owners))
        self.uploads = FairQueue(QueueLimits.shared(UPLOADS, WAITING, owners))
        self._pool = ThreadPoolExecutor(WORKING, thread_name_prefix="request-work")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="request-writing")
        self._parsers = ThreadPoolExecutor(PARSERS, thread_name_prefix="request-parsing")
        self._stops: set[Stop] = set()
        self._lock, self._ended = threading.Lock(), False

    async def write(self, function: Callable[..., R], *given: object) -> R:
        """Run what writes a body to disk."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writers, partial(function, *given)
        )

    async def parse(self, function: Callable[..., R], *given: object) -> R:
        """Run what parses text of a client: little at once, as it keeps the interpreter busy."""
        return await asyncio.get_running_loop().run_in_executor(
            self._parsers, partial(function, *given)
        )

    async def decode(self, request: Request, owner: str, work: Callable[[Work], R]) -> R:
        """Run work that decodes a video, once it is the owner's turn; return what it returns.

        Raises what it raises, and as FairQueue.take; ClientDisconnect where the client has gone,
        EngineError `service_ends` where the service ends first.
        """
        gone = asyncio.ensure_future(_gone(request))
        whole = asyncio.ensure_future(self._in_turn(owner, work))
        try:
            await asyncio.wait({gone, whole}, return_when=asyncio.FIRST_COMPLETED)
            if not whole.done():
                raise ClientDisconnect
            return whole.result()
        finally:
            gone.cancel()
            if not whole.done():
                whole.cancel()  # which stops the work

    async def _in_turn(self, owner: str, work: Callable[[Work], R]) -> R:
        async with AsyncExitStack() as places:
            with span("queue"):
                await places.enter_async_context(self.working.taken(owner))
                turn = await places.enter_async_context(self.decoding.taken(owner))
            stop = self._begin()
            running = asyncio.get_running_loop().run_in_executor(
                self._pool, in_this_context(work), Work(stop, turn.end)
            )
            try:
                return await asyncio.shield(running)
            except StoppedError:
                raise EngineError(
                    "service_ends", "The service is being ended; try again in a moment."
                ) from None
            finally:
                stop.set()
                # The places are free when the work has ended, which it now does soon.
                if not running.done():
                    await asyncio.wait({running})
                    running.exception()  # nobody else will look
                with self._lock:
                    self._stops.discard(stop)

    def _begin(self) -> Stop:
        stop = Stop()
        with self._lock:
            self._stops.add(stop)
            if self._ended:
                stop.set()
        return stop

    def end(self) -> None:
        """Stop all work, and what comes after it."""
        with self._lock:
            self._ended = True
            stops = list(self._stops)
        for stop in stops:
            stop.set()


async def _gone(request: Request) -> None:
    """Return when the client has gone; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

"""What a connection may take: time for headers, bodies and answers, and a place among all of them.

Does: close connections that dawdle, bound how many are open, make room for new ones by closing the
oldest without a key.  Does not: read requests beyond their size (uvicorn and h11 do), or know keys
(see guarding, which marks what it lets in).

Without these bounds silent connections, which cost their client nothing, use up every descriptor.
A reverse proxy in front may have bounds of its own; none is needed for this.
"""

import asyncio
import functools
import math
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from serve.connection_limits import ConnectionLimits
from serve.guarding import ADMITTED

LOOK_SECONDS = 0.5
HEADERS_END = (b"\r\n\r\n", b"\n\n", b"\n\r\n")
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)


class OpenConnections:
    """The connections of one server, oldest first; used by its event loop alone."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._without_key: dict[Connection, None] = {}
        self._admitted: set[Connection] = set()
        self._looking = False

    def __len__(self) -> int:
        return len(self._without_key) + len(self._admitted)

    def protocol(self) -> Any:
        """Return what uvicorn makes connections with."""
        return functools.partial(Connection, every=self)

    def opened(self, connection: "Connection") -> bool:
        """Count a new connection; return False where there is no room for it."""
        while len(self._without_key) >= self.limits.without_key:
            self._pass_oldest()
        while len(self) >= self.limits.most:
            if not self._without_key:
                return False
            self._pass_oldest()
        self._without_key[connection] = None
        if not self._looking:
            self._looking = True
            connection.loop.call_later(LOOK_SECONDS, self._look, connection.loop)
        return True

    def answered(self, connection: "Connection") -> None:
        """Count a connection whose request is over among those that have sent none."""
        if connection in self._admitted or connection in self._without_key:
            self.closed(connection)
            self._without_key[connection] = None

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._without_key.pop(connection, None)
        self._admitted.discard(connection)

    def _pass_oldest(self) -> None:
        """Count the oldest connection without a key as admitted if it is by now, else close it."""
        oldest = next(iter(self._without_key))
        del self._without_key[oldest]
        if oldest.is_admitted:
            self._admitted.add(oldest)
        else:
            oldest.abort()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [*self._without_key, *self._admitted]:
            connection.look(now)
        self._looking = len(self) > 0
        if self._looking:
            loop.call_later(LOOK_SECONDS, self._look, loop)


class Connection(H11Protocol):
    """uvicorn's connection, bounded in time and in the size of its headers."""

    def __init__(self, *given: Any, every: OpenConnections, **named: Any) -> None:
        super().__init__(*given, **named)
        self._every, self._limits = every, every.limits
        self._waits_since = self._body_since = self._unsent_since = math.inf
        self._body_bytes = 0

    @property
    def is_admitted(self) -> bool:
        """Whether it carries a request whose sender may use the service."""
        return self._is_busy and bool(self.scope["state"].get(ADMITTED))

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        if not self._every.opened(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._every.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; headers that are too large are refused before they are read."""
        self._body_bytes += len(data)
        if self.conn.their_state is h11.IDLE and self._has_no_end(data):
            self.transport.write(TOO_LARGE)
            self.transport.close()
            return
        super().data_received(data)

    def _has_no_end(self, data: bytes) -> bool:
        bound = self._limits.header_bytes
        return len(data) > bound and all(data.find(end, 0, bound) < 0 for end in HEADERS_END)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        self._waits_since = self.loop.time()
        self._every.answered(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note since when the client does not take what is sent."""
        self._unsent_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it takes it again."""
        self._unsent_since = math.inf
        super().resume_writing()

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        self.transport.abort()

    def look(self, now: float) -> None:
        """Close if something takes too long."""
        if now - self._unsent_since > self._limits.answer_s or self._dawdles(now):
            self.abort()

    def _dawdles(self, now: float) -> bool:
        """Return whether a request takes too long to arrive."""
        if not self._is_busy:
            rests = self.conn.their_state is h11.SEND_BODY
            bound_s = self._limits.rest_s if rests else self._limits.header_s
            return now - self._waits_since > bound_s
        sends = self.conn.their_state is h11.SEND_BODY
        if not sends or self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._body_since = math.inf
            return False
        if self._body_since == math.inf:
            self._body_since, self._body_bytes = now, 0
        if now - self._body_since < self._limits.body_s:
            return False
        enough = self._body_bytes >= self._limits.body_bytes
        self._body_since = math.inf
        return not enough

"""Connections to a model server that another thread can cut.

Does: lend each question a connection of its own, cut one or all of them at once, and cut those that
open later for a question from before.  Does not: send.  So nobody needs a thread of its own to
leave a server that hangs, and one question can be given up without the others.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from weakref import WeakSet

import httpx

from mllm_affect.stopping import Stop

OPENED = ("connect_tcp.complete", "start_tls.complete")
"""Events of httpx's `trace` extension that bring a new socket; TLS wraps the first in another."""


class Connection:
    """One client that one question uses at a time, and the sockets that it has open."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def cut(self) -> None:
        """Cut its sockets: whoever sends or waits there gets an error at once."""
        with self._lock:
            for one in list(self._open):
                _cut(one)
            self._open.clear()

    def extensions(
        self, may_send: Callable[[], bool]
    ) -> Mapping[str, Callable[[str, Mapping[str, Any]], None]]:
        """Return what a request must carry so that its socket is known here.

        A socket that opens when the question may not send any more is cut.
        """
        return {"trace": partial(self._see, may_send)}

    def _see(self, may_send: Callable[[], bool], event: str, about: Mapping[str, Any]) -> None:
        if not event.endswith(OPENED):
            return
        opened = about["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.add(opened)
            if not may_send():
                _cut(opened)


class Connections:
    """Connections to one server, made by `client` and kept for later questions, `keep` at most."""

    def __init__(self, client: Callable[[], httpx.Client], keep: int) -> None:
        self._make, self._keep = client, keep
        self._lent: set[Connection] = set()
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._hung_up = False
        self.hang_ups = 0
        """How often it was hung up; a question notes it when it begins."""

    def may_send(self, begun: int, stop: Stop) -> bool:
        """Whether a question that began after so many hang-ups may send (again)."""
        return not self._hung_up and begun == self.hang_ups and not stop.is_set

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """Lend a connection while the block runs."""
        with self._lock:
            connection = self._free.pop() if self._free else Connection(self._make())
            self._lent.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._lent.discard(connection)
                kept = len(self._free) < self._keep
                if kept:
                    self._free.append(connection)
            if not kept:
                connection.client.close()

    def hang_up(self) -> None:
        """Cut every connection: whoever sends or waits there gets an error at once."""
        with self._lock:
            self._hung_up = True
            self.hang_ups += 1
            every = [*self._lent, *self._free]
        for connection in every:
            connection.cut()

    def take_up(self) -> None:
        """Let new questions through."""
        self._hung_up = False

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            free, self._free, self._keep = self._free, [], 0
        for connection in free:
            connection.client.close()


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        # The plain socket's own: TLS would first take leave of the other side.
        socket.socket.shutdown(one, socket.SHUT_RDWR)

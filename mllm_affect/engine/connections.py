"""The connections of an httpx client, which another thread can cut.

Does: know every socket that the client has open, cut them all at once, and cut those that open
later for a question from before.  Does not: send.  So nobody needs a thread of its own to leave a
server that hangs.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakSet

OPENED = ("connect_tcp.complete", "start_tls.complete")
"""Events of httpx's `trace` extension that bring a new socket; TLS wraps the first in another."""


class Connections:
    """Sockets of one client, whose requests carry `extensions`; for use from several threads."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._hung_up = False
        self.hang_ups = 0
        """How often it was hung up; a question notes it when it begins."""

    def may_send(self, begun: int) -> bool:
        """Whether a question that began after so many hang-ups may send (again)."""
        return not self._hung_up and begun == self.hang_ups

    def extensions(self, begun: int) -> Mapping[str, Callable[[str, Mapping[str, Any]], None]]:
        """Return what a request of such a question must carry so that its socket is known here."""
        return {"trace": partial(self._see, begun)}

    def hang_up(self) -> None:
        """Cut every socket: whoever sends or waits there gets an error at once."""
        with self._lock:
            self._hung_up = True
            self.hang_ups += 1
            for one in list(self._open):
                _cut(one)
            self._open.clear()

    def take_up(self) -> None:
        """Let new questions through."""
        self._hung_up = False

    def _see(self, begun: int, event: str, about: Mapping[str, Any]) -> None:
        if not event.endswith(OPENED):
            return
        opened = about["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.add(opened)
            if not self.may_send(begun):
                _cut(opened)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        # The plain socket's own: TLS would first take leave of the other side.
        socket.socket.shutdown(one, socket.SHUT_RDWR)

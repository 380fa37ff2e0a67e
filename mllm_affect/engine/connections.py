"""The connections of an httpx client, which another thread can cut.

Does: know every socket that the client has open, cut them all at once, and cut new ones too until
told otherwise.  Does not: send.  So nobody needs a thread of its own to leave a server that hangs.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
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

    @property
    def hung_up(self) -> bool:
        """Whether nothing may be sent now."""
        return self._hung_up

    @property
    def extensions(self) -> Mapping[str, Callable[[str, Mapping[str, Any]], None]]:
        """What a request must carry so that its socket is known here."""
        return {"trace": self._see}

    def hang_up(self) -> None:
        """Cut every socket: whoever sends or waits there gets an error at once."""
        with self._lock:
            self._hung_up = True
            for one in list(self._open):
                _cut(one)
            self._open.clear()

    def take_up(self) -> None:
        """Let sockets live again."""
        self._hung_up = False

    def _see(self, event: str, about: Mapping[str, Any]) -> None:
        if not event.endswith(OPENED):
            return
        opened = about["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.add(opened)
            if self._hung_up:
                _cut(opened)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        # The plain socket's own: TLS would first take leave of the other side.
        socket.socket.shutdown(one, socket.SHUT_RDWR)

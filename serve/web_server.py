"""uvicorn as this service runs it: bounded connections, a bounded end.

Does: configure the HTTP server and end it.  Does not: know what it serves (see app), or start the
rest of a service (see running).
"""

import asyncio
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from serve.connection_limits import raise_descriptors
from serve.connections import OpenConnections
from serve.logs import AccessLog
from serve.settings import ServiceSettings
from serve.state import ServiceState

DRAIN_SECONDS = 10
"""Requests in flight get so long to end; analyses then `ServiceSettings.drain_s`."""

GIVE_UP_SECONDS = DRAIN_SECONDS - 2
"""So long after the end began, what requests still work on is stopped."""

SWITCH_SECONDS = 0.001
"""So long a thread keeps the interpreter from the others: less than Python's own 5 ms, so that the
event loop need not wait long for its turn among threads that work on requests."""

ABORT_SECONDS = DRAIN_SECONDS - 0.5
"""So long after it, connections that still carry a request are closed."""


def web_config(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    """Return how an application is served: HTTP/1.1 by h11, whose headers are bounded, alone."""
    limits = settings.connections.within(raise_descriptors())
    every = OpenConnections(limits)
    return uvicorn.Config(
        AccessLog(app),
        host=settings.host,
        port=settings.port,
        http=every.protocol(),
        ws="none",
        timeout_keep_alive=round(limits.idle_s),
        log_config=None,  # its lines go through our handler, see logs
        log_level="error",  # a warning for every request that is no HTTP would fill the disk
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class WebServer(uvicorn.Server):
    """uvicorn, which tells streams that are being sent, and work that takes long, to end."""

    def __init__(self, app: FastAPI, state: ServiceState) -> None:
        super().__init__(web_config(app, state.settings))
        self._state = state

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            super().run(sockets)
        finally:
            sys.setswitchinterval(before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal."""
        self._state.ending.set()
        super().handle_exit(sig, frame)

    def leave(self) -> None:
        """End without a signal."""
        self._state.ending.set()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is served: first what is nearly done, then what takes long, then all."""
        loop = asyncio.get_running_loop()
        timers = (
            loop.call_later(GIVE_UP_SECONDS, self._state.work.end),
            loop.call_later(ABORT_SECONDS, self._abort),
        )
        try:
            await super().shutdown(sockets)
        finally:
            for timer in timers:
                timer.cancel()
            self._state.work.end()

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

"""What happens to every request before its body is read: an id, the key, a bound on the body.

Does: name requests, turn away callers without the key, stop bodies that are too large while they
arrive.  Does not: parse bodies.
"""

import uuid
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.problems import BodyTooLargeError, body_too_large, problem
from serve.settings import ServiceSettings

ENVELOPE_BYTES = 1 << 20
"""What multipart boundaries and text fields may add to the video itself."""


class RequestId:
    """Give every request an id of our own making, returned as X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[Any] = list(message.get("headers", []))
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, named)


class KeyCheck:
    """Answer 401 below /v1 to a caller without the right API key."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asks = scope["type"] == "http" and scope["path"].startswith("/v1/")
        if asks and not self._settings.accepts(_given_key(scope)):
            detail = "Send the API key as `Authorization: Bearer KEY`."
            response = problem(Request(scope), 401, "unauthorized", detail)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _given_key(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, key = value.decode("latin-1").partition(" ")
            return key.strip() if kind.lower() == "bearer" else None
    return None


class BodyLimit:
    """Answer 413 as soon as a body states or shows more bytes than allowed."""

    def __init__(self, app: ASGIApp, max_video_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_video_bytes + ENVELOPE_BYTES
        self._max_video_bytes = max_video_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._stated(scope) > self._max_bytes:
            response = body_too_large(Request(scope), self._max_video_bytes)
            await response(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise BodyTooLargeError(self._max_video_bytes)
            return message

        await self._app(scope, counted, send)

    @staticmethod
    def _stated(scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

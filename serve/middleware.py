"""What happens to every request before its body is read: an id, headers, a bound on the body.

Does: name requests, add security headers, stop bodies that are too large while they arrive.
Does not: check keys (see guarding) or parse bodies.
"""

import uuid
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.paths import route_path
from serve.problems import BodyBound, BodyTooLargeError, body_too_large

ENVELOPE_BYTES = 1 << 20
"""What multipart boundaries and text fields may add to the video itself."""

OTHER = BodyBound(1 << 20, is_video=False)
"""Bodies that bring no video: JSON."""

TAKE_VIDEOS = (("POST", "/v1/videos"), ("POST", "/v1/ask"))

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NOTHING = b"default-src 'none'; frame-ancestors 'none'"
INTERACTIVE = (
    b"default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    b"script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""The page at /docs starts its viewer, which is served beside it, by a line of its own."""


class RequestId:
    """Give every request an id of our own making, returned as X-Request-ID, and safe headers."""

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
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers + _safe_headers(route_path(scope), headers)
            await send(message)

        await self._app(scope, receive, named)


def _safe_headers(path: str, given: list[Any]) -> list[tuple[bytes, bytes]]:
    """Return the security headers that an answer does not set itself."""
    there = {name.lower() for name, _ in given}
    policy = INTERACTIVE if path == "/docs" else NOTHING
    wanted = [*ALWAYS, (b"content-security-policy", policy)]
    if path.startswith("/v1/"):
        wanted.append((b"cache-control", b"no-store"))
    return [(name, value) for name, value in wanted if name not in there]


class BodyLimit:
    """Answer 413 as soon as a body states or shows more bytes than allowed.

    A body that may bring a video may have as many as that, any other one those of `OTHER`.
    """

    def __init__(self, app: ASGIApp, max_video_bytes: int) -> None:
        self._app = app
        self._video = BodyBound(max_video_bytes, is_video=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        takes_video = (scope["method"], route_path(scope)) in TAKE_VIDEOS
        bound = self._video if takes_video else OTHER
        most = bound.max_bytes + (ENVELOPE_BYTES if takes_video else 0)
        if self._stated(scope) > most:
            response = body_too_large(Request(scope), bound)
            await response(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise BodyTooLargeError(bound)
            return message

        await self._app(scope, counted, send)

    @staticmethod
    def _stated(scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

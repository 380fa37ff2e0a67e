"""A bound on the requests that are worked on at once.

Does: refuse what is too many, in all or of one owner, before its body is read.
Does not: count requests that need no key (health, the page), so that those are always answered.
"""

from collections import Counter

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.guarding import ADMITTED
from serve.problems import problem

AT_ONCE = 256
EACH = 128
"""Of one owner, where there are several; streams of events count as long as they last."""


class RequestLimit:
    """Answers 503 or 429 to requests beyond the bounds."""

    def __init__(self, app: ASGIApp, owners: int, retry_after_s: int, most: int = AT_ONCE) -> None:
        self._app, self._most, self._retry_after_s = app, most, retry_after_s
        self._each = most if owners <= 1 else max(1, most * EACH // AT_ONCE)
        self._now: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["state"].get(ADMITTED):
            await self._app(scope, receive, send)
            return
        owner = scope["state"].get("owner", "")
        if self._now.total() >= self._most:
            detail = "The service has too much to do; try again in a moment."
            await self._refuse(scope, receive, send, 503, "service_busy", detail)
            return
        if self._now[owner] >= self._each:
            detail = "You have too many requests at once; try again in a moment."
            await self._refuse(scope, receive, send, 429, "too_many_at_once", detail)
            return
        self._now[owner] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now[owner] -= 1
            if not self._now[owner]:
                del self._now[owner]

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, status: int, code: str, detail: str
    ) -> None:
        response = problem(Request(scope), status, code, detail)
        response.headers["Retry-After"] = str(self._retry_after_s)
        await response(scope, receive, send)

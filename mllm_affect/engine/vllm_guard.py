"""The key that our vLLM server asks of everybody, loaded into vLLM by `--middleware`.

Does: refuse every request and every WebSocket without the key, whatever the route.
Does not: make the key (see vllm_server); vLLM's own check covers some routes only.
"""

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

KEY_VARIABLE = "VLLM_API_KEY"
"""Where the server finds the key: a command line can be read by every user of the machine."""

MIDDLEWARE = f"{__name__}.KeyRequired"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class KeyRequired:
    """ASGI middleware: 401 without the key.  Raises KeyError where the server was given none."""

    def __init__(self, app: Application) -> None:
        self._app, self._key = app, os.environ[KEY_VARIABLE].encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan" or self._is_ours(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def _is_ours(self, headers: list[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        wanted = b"Bearer " + self._key
        return len(given) == 1 and hmac.compare_digest(given[0], wanted)

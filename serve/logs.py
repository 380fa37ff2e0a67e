"""What the service writes down: one line a request and per analysis, without any content.

Does: write audit lines as JSON on the logger `mllm_affect.audit`, keep others' chatter out.
Does not: write bodies, questions, answers, queries, keys, or names that clients gave.
"""

import json
import logging
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mllm_affect.errors import UserError

audit = logging.getLogger("mllm_affect.audit")

CHATTY = ("httpx", "httpcore", "python_multipart", "alembic", "sqlalchemy")
"""Their lines may hold addresses with passwords, or pieces of a body."""


def set_up_logs(audit_log: Path | None) -> None:
    """Let libraries say nothing below a warning, and append audit lines to a file if there is one.

    Raises UserError `bad_audit_log`.
    """
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if audit_log is None:
        return
    try:
        handler = logging.FileHandler(audit_log, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "bad_audit_log", f"{audit_log} cannot be written ({error.strerror}); name another file."
        ) from error
    audit.addHandler(handler)
    audit.setLevel(logging.INFO)
    audit.propagate = False


class AccessLog:
    """Writes an audit line for every request below /v1."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            if audit.isEnabledFor(logging.INFO):
                audit.info(_line(scope, status, time.perf_counter() - begun))


def _line(scope: Scope, status: int, seconds: float) -> str:
    """Return who did what to which resource, and how it ended."""
    state = scope.get("state", {})
    line = {
        "request_id": state.get("request_id", ""),
        "owner": state.get("owner", ""),
        "operation": getattr(scope.get("route"), "operation_id", None),
        "ids": scope.get("path_params", {}),
        "status": status,
        "seconds": round(seconds, 4),
    }
    return json.dumps(line)

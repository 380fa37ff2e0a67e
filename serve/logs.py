"""What the service writes down: one line a request, and what went wrong, without any content.

Does: write audit lines as JSON on the logger `mllm_affect.audit`; write exceptions as types and
places; keep others' chatter out.
Does not: write bodies, questions, answers, queries, keys, names that clients gave, or the texts of
exceptions, which quote all of these (a database's also the values of the row).
"""

import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mllm_affect.errors import UserError
from serve.paths import route_path

audit = logging.getLogger("mllm_affect.audit")

CHATTY = ("httpx", "httpcore", "python_multipart", "alembic", "sqlalchemy")
"""Their lines may hold addresses with passwords, or pieces of a body."""


AN_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class WithoutContent(logging.Formatter):
    """Formats a record; of an exception only its types, codes and places."""

    def formatException(self, ei: object) -> str:  # noqa: N802 - the base class names it
        """Return the outline of an exception."""
        error = ei[1] if isinstance(ei, tuple) else None
        return outline(error) if isinstance(error, BaseException) else "unknown exception"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; asyncio's texts go on with the repr of an exception."""
        record.exc_text = None  # another handler's formatter may have left its own
        if record.name == "asyncio":
            record = logging.makeLogRecord(
                {**record.__dict__, "msg": record.getMessage().partition("\n")[0], "args": None}
            )
        return super().format(record)


def outline(error: BaseException) -> str:
    """Return where an exception and those behind it were raised, and their types, not their texts.

    Codes of our own errors are told too.
    """
    parts: list[str] = []
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None:
        parts += [outline(behind), "led to"]
    if isinstance(error, BaseExceptionGroup):
        parts += [outline(one) for one in error.exceptions]
    parts += [line.rstrip() for line in traceback.format_tb(error.__traceback__)]
    code = getattr(error, "code", None)
    told = f" {code}" if isinstance(code, str) and code.isidentifier() else ""
    return "\n".join([*parts, f"{type(error).__name__}{told}"])


def set_up_logs(audit_log: Path | None, stream: TextIO | None = None) -> None:
    """Write to standard error without content, and audit lines to a file if there is one.

    Raises UserError `bad_audit_log`.
    """
    handler: logging.Handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(WithoutContent("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not _is_ours(one)] + [handler]
    threading.excepthook = _log_thread
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if audit_log is None:
        return
    try:
        descriptor = os.open(audit_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.close(descriptor)
        handler = logging.FileHandler(audit_log, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "bad_audit_log", f"{audit_log} cannot be written ({error.strerror}); name another file."
        ) from error
    audit.addHandler(handler)
    audit.setLevel(logging.INFO)
    audit.propagate = False


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler.formatter, WithoutContent)


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread is not None else "unknown"
        found = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("mllm_affect").error("thread %s ended", name, exc_info=found)


class AccessLog:
    """Writes an audit line for every request below /v1."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
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
            # The application has told the prefix of a reverse proxy by now.
            if audit.isEnabledFor(logging.INFO) and route_path(scope).startswith("/v1/"):
                audit.info(_line(scope, status, time.perf_counter() - begun))


def _line(scope: Scope, status: int, seconds: float) -> str:
    """Return who did what to which resource, and how it ended."""
    state = scope.get("state", {})
    line = {
        "request_id": state.get("request_id", ""),
        "owner": state.get("owner", ""),
        "operation": getattr(scope.get("route"), "operation_id", None),
        "ids": {
            name: value if AN_ID.fullmatch(str(value)) else "not an id"
            for name, value in scope.get("path_params", {}).items()
        },
        "status": status,
        "seconds": round(seconds, 4),
    }
    return json.dumps(line)

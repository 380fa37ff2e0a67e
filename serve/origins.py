"""Pages of other origins that may use the service (CORS, the Fetch standard).

Does: check the origins that the operator lists, and say what their pages may send and read.
Does not: let anybody in: keys and Host are checked by guarding all the same.
"""

import re
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from mllm_affect.errors import UserError

METHODS = ("GET", "HEAD", "POST", "DELETE")
SENT_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range")
READ_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
PREFLIGHT_SECONDS = 600
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
DEFAULT_PORTS = {"http": 80, "https": 443}


def checked_origin(text: str) -> str:
    """Return an origin as browsers send it.  Raises UserError `bad_origin`."""
    if text == "*":
        raise UserError(
            "bad_origin",
            "--allow-origin * would let every page in; list the origins of your own pages.",
        )
    try:
        parts = urlsplit(text)
        port = parts.port
        known = parts.scheme in DEFAULT_PORTS and HOST.fullmatch(parts.hostname or "")
    except ValueError:
        known = None
    if not known:
        raise UserError(
            "bad_origin",
            f"--allow-origin {text!r} is no origin; give scheme, host and port of the page's "
            "address, like https://app.example or http://localhost:3000.",
        )
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    sent = f"{parts.scheme}://{host}"
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        sent += f":{port}"
    if text != sent:
        raise UserError(
            "bad_origin", f"--allow-origin {text!r} is not what browsers send; give {sent}."
        )
    return sent


def allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Let pages of these origins send and read; nothing is added where there are none.

    No cookies or other credentials of the browser are allowed: the page sends a key itself.
    """
    if not origins:
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=SENT_HEADERS,
        expose_headers=READ_HEADERS,
        allow_credentials=False,
        max_age=PREFLIGHT_SECONDS,
    )

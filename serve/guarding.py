"""The door: who may come in, to do what, how often, and from which pages.

Does: check API keys, their scopes and rates, and turn away pages of other origins.
Does not: read bodies, or store keys other than as hashes.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.keys import ApiKey, find_key
from serve.keys import Scope as KeyScope
from serve.paths import route_path
from serve.problems import problem
from serve.settings import ServiceSettings

ADMITTED = "admitted"
"""Key of a request's state that says that its sender may use the service."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
"""A host as RFC 9112 lets a request name it; internationalised names arrive in ASCII."""


class Door:
    """Answer 401, 403 or 429 below /v1 and at /metrics to whoever may not come in.

    A Host header that names no host is answered with 400 everywhere.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app, self._keys = app, settings.keys
        self._origins = settings.allow_origins
        self._rates = {key.name: _Rate(key) for key in settings.keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope)
        host = headers.get(b"host", "")
        if host and _name_of(host) is None:  # redirects would be built from it
            return problem(request, 400, "bad_host", "The Host header names no host.")
        path = route_path(scope)
        if not _is_guarded(path):
            return None
        if not self._keys:
            refusal = _refuse_strangers(request, headers, self._origins)
            scope["state"][ADMITTED] = refusal is None
            return refusal
        key = find_key(self._keys, _given_key(headers))
        if key is None:
            detail = "Send the API key as `Authorization: Bearer KEY`."
            response: Response = problem(request, 401, "unauthorized", detail)
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        needed = _needed_scope(scope["method"], path)
        if needed not in key.scopes:
            return problem(request, 403, "forbidden", f"This key lacks the scope `{needed}`.")
        wait_s = self._rates[key.name].wait_s()
        if wait_s > 0:
            detail = "This key has asked too often; try again later."
            response = problem(request, 429, "too_many_requests", detail)
            response.headers["Retry-After"] = str(max(1, round(wait_s + 0.5)))
            return response
        scope["state"]["owner"] = key.name
        scope["state"][ADMITTED] = True
        return None


class _Rate:
    """A bucket that holds a minute's requests and fills up steadily."""

    def __init__(self, key: ApiKey) -> None:
        self._per_s = (key.requests_per_minute or 0) / 60.0
        self._most = self._left = float(key.requests_per_minute or 0)
        self._seen = time.monotonic()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Take one; return how long to wait where none is left, else 0."""
        if not self._per_s:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._seen) * self._per_s)
            self._seen = now
            if self._left < 1.0:
                return (1.0 - self._left) / self._per_s
            self._left -= 1.0
            return 0.0


def _is_guarded(path: str) -> bool:
    return path.startswith("/v1/") or path == "/metrics"


def _needed_scope(method: str, path: str) -> KeyScope:
    if path == "/metrics":
        return "metrics"
    if method in SAFE_METHODS:
        return "read"
    return "erase" if method == "DELETE" else "ask"


def _given_key(headers: Mapping[bytes, str]) -> str | None:
    kind, _, key = headers.get(b"authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def _refuse_strangers(
    request: Request, headers: Mapping[bytes, str], allowed: Sequence[str]
) -> Response | None:
    """Return 403 for what a page of an origin that is not allowed sends to a service without keys.

    Such a page can make a browser on this machine send forms here; a name that leads here by DNS
    makes it same-origin.
    """
    host = headers.get(b"host", "")
    if not _is_here(host):
        return problem(request, 403, "forbidden", "Without API keys only this machine may ask.")
    origin = headers.get(b"origin")
    if origin in allowed:
        return None
    if origin is not None and origin.partition("://")[2] != host:
        return problem(request, 403, "forbidden", "Pages of other origins may not ask.")
    if headers.get(b"sec-fetch-site") == "cross-site":
        return problem(request, 403, "forbidden", "Pages of other origins may not ask.")
    return None


def _is_here(host: str) -> bool:
    name = _name_of(host)
    if name is None:
        return False
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _name_of(host: str) -> str | None:
    """Return the name or address in a Host header, None where it is neither."""
    found = HOST.fullmatch(host)
    if found is None:
        return None
    address, name = found.groups()
    try:
        return str(ip_address(address)) if address else str(name)
    except ValueError:
        return None

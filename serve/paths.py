"""The path prefix that a reverse proxy puts before the service, as in `/affect/v1/videos`.

Does: check the prefix, tell a route's path from a request's, and make every request's path hold the
prefix, whether the proxy removed it or not.  Does not: know routes.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from mllm_affect.errors import UserError

PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", re.ASCII)
OWN = ("v1", "docs", "page", "metrics", "healthz", "readyz", "openapi.json")
"""First parts of our own paths: a prefix that begins so could not be told from them."""


def checked_prefix(prefix: str) -> str:
    """Return a prefix without a slash at its end.  Raises UserError `bad_root_path`."""
    found = prefix.removesuffix("/")
    if not found:
        return ""
    if not PREFIX.fullmatch(found) or found.split("/")[1] in OWN:
        raise UserError(
            "bad_root_path",
            f"--root-path is {prefix!r}; give a path like /affect, of letters, digits, `.`, `_`, "
            f"`~` and `-`, whose first part is none of {', '.join(OWN)}.",
        )
    return found


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix, which it need not have."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :]
    return path


class PathPrefix:
    """Lets every path hold the prefix, as redirects need it."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._prefix:
            scope["root_path"] = self._prefix
            scope["path"] = self._prefix + (route_path(scope) or "/")
        await self._app(scope, receive, send)

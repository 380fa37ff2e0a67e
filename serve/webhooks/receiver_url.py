"""Which addresses a client may name as receiver of a webhook.

Does: refuse an address with a stable code and one sentence, return it in one spelling.
Does not: resolve names (see address_guard, which looks at each try).
"""

import re
from dataclasses import dataclass

import httpx

from mllm_affect.errors import UserError
from serve.problems import FieldError
from serve.webhooks.settings import DEFAULT_PORTS, WebhookSettings

LONGEST_URL = 2048
FIELD = "webhook_url"
SHAPE = re.compile(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!-~]*)?")
"""Scheme, host, port and the rest: without user, fragment, spaces, `\\` and characters beyond
ASCII.  What does not have this shape is read differently by different programs."""


@dataclass(frozen=True)
class ReceiverUrl:
    """An address in one spelling: lower-case host, its port, path and query as they were given."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, without path or query, which may hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The `Host` header: without a port that is the scheme's own."""
        return self.origin.split("://")[1].removesuffix(f":{DEFAULT_PORTS[self.scheme]}")

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def checked_url(text: str, settings: WebhookSettings) -> ReceiverUrl:
    """Return a receiver's address.

    Raises UserError: `webhooks_off`, `bad_webhook_url` (not an address that can be used),
    `webhook_host_not_allowed`.
    """
    if not settings.are_on:
        raise _refused("webhooks_off", "This service sends no webhooks; leave webhook_url out.")
    if len(text) > LONGEST_URL:
        raise _refused("bad_webhook_url", f"webhook_url has more than {LONGEST_URL} characters.")
    found = SHAPE.fullmatch(text)
    if found is None or "#" in text or "\\" in text:
        raise _refused(
            "bad_webhook_url",
            "webhook_url is no plain https address: no user, no fragment, no spaces, ASCII only.",
        )
    scheme = found[1]
    if scheme != "https" and not settings.insecure:
        raise _refused("bad_webhook_url", "webhook_url must begin with https://.")
    host = found[2].strip("[]").lower()
    port = int(found[3][1:]) if found[3] else DEFAULT_PORTS[scheme]
    try:  # what sends it must read the same host and port
        parsed = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise _refused("bad_webhook_url", "webhook_url is no address.") from error
    read = (parsed.host, parsed.port or DEFAULT_PORTS[scheme])
    if read != (host, port) or not 1 <= port <= 65535:
        raise _refused("bad_webhook_url", "webhook_url is no plain address.")
    if not any(one.allows(scheme, host, port) for one in settings.hosts):
        raise _refused(
            "webhook_host_not_allowed",
            "The host and port of webhook_url are not on this service's list of webhook hosts.",
        )
    target = found[4] or "/"
    return ReceiverUrl(scheme, host, port, target if target.startswith("/") else f"/{target}")


def _refused(code: str, sentence: str) -> UserError:
    return FieldError(code, sentence, [FIELD])

"""One try to deliver a webhook: a request to its receiver and what came of it.

Does: connect through the address guard, send the signed body, read status and `Retry-After`.
Does not: follow redirects, use proxies or environment variables, keep the answer, decide about
further tries (see delivery).
"""

import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpcore
import httpx

from mllm_affect import __version__
from mllm_affect.client.webhooks import webhook_headers
from mllm_affect.errors import UserError
from serve.store.webhook_outbox import Delivery
from serve.webhooks.address_guard import (
    AddressRefusedError,
    GuardedBackend,
    NotResolvedError,
    Resolve,
    TlsFailedError,
    system_addresses,
)
from serve.webhooks.receiver_url import ReceiverUrl, checked_url
from serve.webhooks.settings import WebhookSettings

MOST_ANSWER_BYTES = 64 << 10
ANSWER_BODY_S = 2.0
"""So much of an answer's body is read, and thrown away, so that the receiver can end in peace."""


@dataclass(frozen=True)
class Outcome:
    """What came of one try: a status, or an error code of ours; `retry_after_s` as asked for."""

    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether the receiver says that it wants no more."""
        return self.status == 410


@dataclass(frozen=True)
class Exchange:
    """How requests are sent; `resolve` gives the addresses of a host.

    `trust` None: the certificate authorities of the package certifi.
    """

    settings: WebhookSettings
    resolve: Resolve = system_addresses
    trust: ssl.SSLContext | None = None

    def send(self, one: Delivery) -> Outcome:
        """Send a delivery once.  Never raises for what a receiver or the network does."""
        try:
            url = checked_url(one.url, self.settings)
        except UserError as error:  # the list of hosts was changed since
            return Outcome(error=error.code)
        deadline_s = time.monotonic() + self.settings.try_s
        backend = GuardedBackend(deadline_s, self.settings.insecure, self.resolve)
        try:
            trust = self.trust or _public_authorities()
            with httpcore.ConnectionPool(trust, network_backend=backend, retries=0) as pool:
                return self._ask(pool, url, one)
        except AddressRefusedError:
            return Outcome(error="address_refused")
        except NotResolvedError:
            return Outcome(error="not_resolved")
        except httpcore.TimeoutException:
            return Outcome(error="timeout")
        except TlsFailedError:
            return Outcome(error="tls_failed")
        except httpcore.ConnectError:
            return Outcome(error="not_connected")
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
            OSError,
        ):
            return Outcome(error="broken_off")

    def _ask(self, pool: httpcore.ConnectionPool, url: ReceiverUrl, one: Delivery) -> Outcome:
        body = one.body.encode()
        secrets = [secret.get_secret_value() for secret in self.settings.secrets]
        headers: dict[bytes | str, bytes | str] = {
            "Host": url.authority,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": f"mllm-affect/{__version__}",
            "Connection": "close",
        }
        headers.update(webhook_headers(secrets, one.id, int(time.time()), body).items())
        settings = self.settings
        limits = {"connect": settings.connect_s, "read": settings.try_s, "write": settings.try_s}
        target = httpcore.URL(
            scheme=url.scheme.encode(), host=url.host.encode(), port=url.port,
            target=url.target.encode(),
        )  # fmt: skip
        with pool.stream(
            "POST", target, headers=headers, content=body, extensions={"timeout": limits}
        ) as response:
            answered = Outcome(response.status, None, _retry_after_s(response.headers))
            with suppress(Exception):  # the status is all that counts
                _read_some(response)
            return answered


@cache
def _public_authorities() -> ssl.SSLContext:
    """Return what public certificates are verified with; making it takes some time."""
    return httpx.create_ssl_context(trust_env=False)


def _read_some(response: httpcore.Response) -> None:
    read, until_s = 0, time.monotonic() + ANSWER_BODY_S
    for chunk in response.iter_stream():
        read += len(chunk)
        if read > MOST_ANSWER_BYTES or time.monotonic() > until_s:
            return


def _retry_after_s(headers: list[tuple[bytes, bytes]]) -> float | None:
    for name, value in headers:
        if name.lower() == b"retry-after":
            text = value.decode("ascii", "replace").strip()
            if text.isascii() and text.isdecimal():
                return float(text[:9])
            try:
                at = parsedate_to_datetime(text)
            except (ValueError, OverflowError):
                return None
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return max(0.0, (at - datetime.now(UTC)).total_seconds())
    return None

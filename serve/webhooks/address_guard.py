"""Connections that reach public addresses alone, whatever a name resolves to.

Does: resolve a name once, refuse it if any of its addresses is not public, connect to exactly the
addresses that were looked at, and keep a whole exchange within one deadline.
Does not: know webhooks.  TLS is httpcore's own: it names and verifies the host, not the address.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host.  Raises OSError."""

EMBEDS_IPV4 = tuple(
    ipaddress.ip_network(text)
    for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "2002::/16", "2001::/32")
)
"""IPv6 that leads to an IPv4 address: mapped, compatible, NAT64, 6to4, Teredo."""
NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared by a provider's customers
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "64:ff9b:1::/48",  # NAT64 with prefixes of a network's own
        "100::/64",
        "fc00::/7",
        "fec0::/10",
    )
)
"""Refused besides what the standard library knows as private or reserved, whose list grew from one
Python version to the next."""


class AddressRefusedError(Exception):
    """A name leads to an address that is not public."""


class NotResolvedError(Exception):
    """A name has no address now."""


class TlsFailedError(Exception):
    """The host speaks no TLS, or its certificate is not one for its name."""


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet, by itself and by what it embeds."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if address.is_private or address.is_loopback or address.is_link_local:
        return False
    ranges = (*EMBEDS_IPV4, *NOT_PUBLIC)
    return not any(address in one for one in ranges if one.version == address.version)


def system_addresses(host: str, port: int) -> list[str]:
    """Return the addresses that this machine's resolver gives.  Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects for one exchange, until a deadline on the steady clock (`time.monotonic`)."""

    def __init__(self, deadline_s: float, allow_all: bool, resolve: Resolve) -> None:
        self._deadline_s, self._allow_all, self._resolve = deadline_s, allow_all, resolve
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises AddressRefusedError, NotResolvedError, and httpcore's ConnectError and
        ConnectTimeout.
        """
        fault: Exception = NotResolvedError("no address")
        for address in self._checked(host, port):
            try:
                stream = self._backend.connect_tcp(
                    str(address), port, _left(self._deadline_s, timeout), local_address,
                    socket_options,
                )  # fmt: skip
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                fault = error
                continue
            return _TimedStream(stream, self._deadline_s)
        raise fault

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            found = [ipaddress.ip_address(one) for one in self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError) as error:
            raise NotResolvedError("no address") from error
        if not self._allow_all and not all(is_public(one) for one in found):
            raise AddressRefusedError("not a public address")
        return found


class _TimedStream(httpcore.NetworkStream):
    """A connection each of whose waits ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline_s: float) -> None:
        self._stream, self._deadline_s = stream, deadline_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline_s, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline_s, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = _left(self._deadline_s, timeout)
        try:
            secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        except (httpcore.ConnectError, ssl.SSLError) as error:
            raise TlsFailedError("no trusted connection") from error
        return _TimedStream(secured, self._deadline_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline_s: float, timeout: float | None) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise httpcore.ReadTimeout("the exchange takes too long")
    return left_s if timeout is None else min(left_s, timeout)

"""The only place that makes HTTP clients.

Does: make a client for one server.  This machine's own addresses are always reached directly; other
hosts through the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name.
Does not: send requests, follow redirects, or resolve names: a name other than `localhost` that
leads to this machine must stand in NO_PROXY.
"""

import ssl
from ipaddress import IPv6Address, ip_address
from socket import inet_aton
from typing import Any
from urllib.parse import urlsplit

import httpx

from mllm_affect.errors import UserError


def http_client(url: str, **options: Any) -> httpx.Client:
    """Return a client whose requests go to `url` and below; `options` are those of httpx.Client.

    Raises UserError `bad_url` for what is no HTTP address, and `bad_proxy` where the environment
    names a proxy that cannot be used.
    """
    address = _address(url)
    verify: ssl.SSLContext | bool = False  # nothing to verify, and loading certificates takes long
    if address.scheme == "https":
        verify = httpx.create_ssl_context()
    try:
        return httpx.Client(
            base_url=url, verify=verify, trust_env=not is_this_machine(address.host), **options
        )
    except ImportError as error:
        raise UserError(
            "bad_proxy",
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY names a SOCKS proxy, which needs the package "
            "socksio; install it with `pip install socksio`, or unset the variable.",
        ) from error
    except (ValueError, httpx.InvalidURL) as error:
        raise UserError(
            "bad_proxy",
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY does not name a usable proxy; give it an address "
            "like http://proxy.example:3128, or unset it.",
        ) from error


def requests_session(url: str) -> Any:
    """Return a `requests.Session` for libraries that want one; proxies as `http_client`."""
    import requests

    session = requests.Session()
    session.trust_env = not is_this_machine(urlsplit(url).hostname or "")
    return session


def is_this_machine(host: str) -> bool:
    """Return whether a host is a loopback or unspecified address, or `localhost`."""
    host = host.lower().removesuffix(".").strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ip_address(inet_aton(host))  # short forms such as 127.1, as resolvers read
        except (OSError, UnicodeError):
            return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _address(url: str) -> httpx.URL:
    try:
        urlsplit(url)  # httpx takes an unclosed bracket for part of a name
        address = httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise _bad_url(url) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise _bad_url(url)
    return address


def _bad_url(url: str) -> UserError:
    return UserError("bad_url", f"{url} is no address; give one like http://127.0.0.1:8000.")

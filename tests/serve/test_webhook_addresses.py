"""Webhooks never reach an address that is not public, and only the address that was looked at."""

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from webhook_receiver import Receiver, receiver

from serve.store.webhook_outbox import Delivery
from serve.webhooks.address_guard import is_public
from serve.webhooks.exchange import Exchange
from serve.webhooks.settings import WebhookHost, WebhookSettings

NAME = "hooks.example.org"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.1.1",
        "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.51.100.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1",
        "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def delivery(url: str) -> Delivery:
    return Delivery("msg_1", "lease", "a" * 32, url, "{}", 1)


class Names:
    """A resolver that gives other addresses each time, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = [*answers], 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such name")
        return answer


def exchange(names: Names, port: int, **given: Any) -> Exchange:
    trust = given.pop("trust", None) or ssl.create_default_context()
    hosts = (WebhookHost(name=NAME, port=port),)
    settings = WebhookSettings(hosts=hosts, secrets=(b"x" * 32,), **given)
    return Exchange(settings, names, trust)


@pytest.mark.parametrize(
    ("addresses", "error"),
    [
        (["127.0.0.1"], "address_refused"),
        (["::ffff:127.0.0.1"], "address_refused"),
        (["8.8.8.8", "127.0.0.1"], "address_refused"),
        (["no address"], "not_resolved"),
        ([], "not_resolved"),
    ],
)
def test_a_name_that_leads_to_this_machine_is_not_connected_to(
    addresses: list[str], error: str
) -> None:
    with receiver() as one:
        outcome = exchange(Names(addresses), one.port).send(
            delivery(f"https://{NAME}:{one.port}/x")
        )
        assert (outcome.status, outcome.error, one.got) == (None, error, [])


def test_an_address_in_place_of_a_name_is_looked_at_too() -> None:
    with receiver() as one:
        hosts = (WebhookHost(name="127.0.0.1", port=one.port),)
        sending = Exchange(WebhookSettings(hosts=hosts, secrets=(b"x" * 32,)))
        outcome = sending.send(delivery(f"https://127.0.0.1:{one.port}/"))
        assert (outcome.error, one.got) == ("address_refused", [])


class Connecting:
    """Notes where the guard connects to, and goes to the receiver instead."""

    def __init__(self, port: int) -> None:
        import httpcore

        self.port, self.seen = port, []
        self._backend = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, *given: Any) -> Any:
        self.seen.append(host)
        return self._backend.connect_tcp("127.0.0.1", self.port, *given)


def test_a_name_that_changes_is_resolved_once_and_that_address_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public while it is looked at, this machine a moment later."""
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    with https_receiver() as (one, trust):
        connecting = Connecting(one.port)
        monkeypatch.setattr("httpcore.SyncBackend", lambda: connecting)
        sending = exchange(names, 443, trust=trust)
        first = sending.send(delivery(f"https://{NAME}:443/x?y"))
        assert (first.status, names.asked, connecting.seen) == (200, 1, ["8.8.8.8"])
        assert (one.got[0].path, one.got[0].headers["Host"]) == ("/x?y", NAME)
        second = sending.send(delivery(f"https://{NAME}:443/x?y"))
        assert (second.error, connecting.seen) == ("address_refused", ["8.8.8.8"])
    assert one.names == [NAME]  # the server name within TLS


def test_the_certificate_must_be_that_of_the_name() -> None:
    with https_receiver("elsewhere.example.org") as (one, trust):
        sending = exchange(Names(["127.0.0.1"]), one.port, insecure=True, trust=trust)
        outcome = sending.send(delivery(f"https://{NAME}:{one.port}/"))
        assert (outcome.error, one.got) == ("tls_failed", [])
    with https_receiver() as (one, _):
        sending = exchange(Names(["127.0.0.1"]), one.port, insecure=True)
        outcome = sending.send(delivery(f"https://{NAME}:{one.port}/"))
        assert (outcome.error, one.got) == ("tls_failed", [])


def test_no_proxy_and_no_certificates_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver() as one, receiver() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        hosts = (WebhookHost(name="127.0.0.1", port=one.port),)
        settings = WebhookSettings(hosts=hosts, secrets=(b"x" * 32,), insecure=True)
        assert Exchange(settings).send(delivery(one.url)).status == 200
        assert (len(one.got), len(proxy.got)) == (1, 0)


class HttpsReceiver(Receiver):
    names: list[str]


@contextmanager
def https_receiver(name: str = NAME) -> Iterator[tuple[HttpsReceiver, ssl.SSLContext]]:
    """Yield a receiver with a certificate for a name, and what trusts that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    one = HttpsReceiver()
    one.names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_file(pem + private))
    context.sni_callback = lambda _socket, shown, _context: one.names.append(shown)
    one.server.socket = context.wrap_socket(one.server.socket, server_side=True)
    one.start()
    try:
        yield one, ssl.create_default_context(cadata=pem.decode())
    finally:
        one.close()


def _file(content: bytes) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / f"certificate-{threading.get_ident()}.pem"
    path.write_bytes(content)
    return path

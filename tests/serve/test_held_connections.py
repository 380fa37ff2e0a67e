"""Connections that cost their client nothing do not keep others out.

Bounds are set low so that the tests are quick; the tests of the bounds' sizes are in
test_app (settings) and `python -m tests.stress_hostile_clients`.
"""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from served_in_thread import served_in_thread
from service_in_process import Service
from uvicorn.server import ServerState

from serve.connection_limits import ConnectionLimits
from serve.keys import ApiKey
from serve.settings import ServiceSettings
from serve.web_server import web_config

KEY = "a key for connections alone"
QUICK = ConnectionLimits(
    header_s=1.0, idle_s=1.0, body_s=1.0, body_bytes=1_000, rest_s=1.0, answer_s=1.0,
    without_key=20, most=60,
)  # fmt: skip
SOON_S = 4.0
"""A bound of one second, looked at twice a second, on a busy machine."""


@contextmanager
def served(limits: ConnectionLimits = QUICK) -> Iterator[str]:
    key = ApiKey(sha256=hashlib.sha256(KEY.encode()).hexdigest())
    with served_in_thread(Service(ServiceSettings(keys=(key,), connections=limits))) as url:
        yield url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as found:
        yield found


def opened(url: str, content: bytes = b"") -> socket.socket:
    """A connection that has sent this."""
    address = urlsplit(url)
    made = socket.create_connection((address.hostname, address.port), timeout=10)
    made.sendall(content)
    return made


def head(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def told(connection: socket.socket, within_s: float = SOON_S) -> bytes:
    """All that comes until the connection is closed, which it must be in time."""
    connection.settimeout(within_s)
    found = b""
    try:
        while some := connection.recv(1 << 16):
            found += some
    except ConnectionResetError:
        pass
    connection.close()
    return found


def send_all(connection: socket.socket, parts: Iterable[bytes]) -> None:
    for part in parts:
        connection.sendall(part)


def seconds_of_dripping(connection: socket.socket, drop: bytes) -> float:
    """For how long the connection takes something twenty times a second."""
    begun = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - begun < 2 * SOON_S:
            connection.sendall(drop)
            time.sleep(0.05)
    return time.monotonic() - begun


def test_a_silent_connection_is_closed(url: str) -> None:
    assert told(opened(url)) == b""


def test_headers_that_come_slowly_are_not_waited_for(url: str) -> None:
    connection = opened(url, b"GET /healthz HTTP/1.1\r\n")
    assert seconds_of_dripping(connection, b"X: y\r\n") < SOON_S


def test_an_idle_connection_is_closed_after_its_answer(url: str) -> None:
    found = told(opened(url, head("/healthz")))
    assert found.startswith(b"HTTP/1.1 200")


def test_headers_of_the_second_request_are_bounded_too(url: str) -> None:
    connection = opened(url, head("/healthz"))
    connection.recv(1 << 16)
    connection.sendall(b"GET /healthz HTTP/1.1\r\n")
    assert told(connection) == b""


def test_a_body_that_comes_slowly_is_not_waited_for(url: str) -> None:
    headers = (f"Authorization: Bearer {KEY}", "Content-Length: 100000")
    connection = opened(url, head("/v1/videos", *headers, method="POST"))
    assert seconds_of_dripping(connection, b"x") < SOON_S


def test_a_body_that_comes_fast_enough_may_take_its_time(url: str) -> None:
    length = 30_000
    headers = (f"Authorization: Bearer {KEY}", f"Content-Length: {length}", "Connection: close")
    connection = opened(url, head("/v1/videos", *headers, method="POST"))
    for _ in range(30):
        connection.sendall(b"x" * (length // 30))
        time.sleep(0.1)
    assert b"415" in told(connection).split(b"\r\n")[0]


def test_the_rest_of_a_refused_body_is_not_taken_for_ever(url: str) -> None:
    connection = opened(url, head("/v1/videos", "Content-Length: 100000000", method="POST"))
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401")
    assert seconds_of_dripping(connection, b"x" * 5_000) < SOON_S


def test_a_client_that_does_not_take_its_answer_is_left(url: str, video: Path) -> None:
    """A video with more bytes than sockets hold on their way."""
    padding = 16 << 20
    content = video.read_bytes() + padding.to_bytes(4) + b"free" + bytes(padding - 8)
    key = {"Authorization": f"Bearer {KEY}"}
    uploaded = httpx.post(f"{url}/v1/videos", content=content, headers=key, timeout=60).json()
    asked = head(f"/v1/videos/{uploaded['id']}/content", f"Authorization: Bearer {KEY}")
    connection = opened(url, asked)
    time.sleep(SOON_S)
    assert len(told(connection)) < len(content)


@pytest.mark.parametrize("pieces", [1, 50], ids=["at once", "in pieces"])
def test_large_headers_are_refused_before_they_take_memory(url: str, pieces: int) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    piece = b"X: " + b"y" * 4_000_000 + b"\r\n"
    connection = opened(url, b"GET /healthz HTTP/1.1\r\n")
    size = len(piece) // pieces
    parts = (piece[start : start + size] for _ in range(50) for start in range(0, len(piece), size))
    with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe
        send_all(connection, parts)
    assert process.memory_info().rss - before < 32 << 20


def test_too_large_headers_in_one_piece_are_told_so(url: str) -> None:
    connection = opened(url)
    connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000)
    assert told(connection).split(b"\r\n")[0].split()[1] in (b"431", b"400")
    many = [f"X-{number}: {'y' * 100}" for number in range(100)]
    assert told(opened(url, head("/healthz", *many))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("size", "refused"), [(60_000, False), (200_000, True)])
def test_whole_headers_that_are_too_large_are_not_even_parsed(size: int, refused: bool) -> None:
    """However much an event loop reads at once."""

    async def sent() -> tuple[bytes, bool]:
        config = web_config(Service().app, ServiceSettings())
        config.load()
        transport = Mock()
        transport.is_closing.return_value = False
        transport.get_extra_info.return_value = None
        made: Any = config.http_protocol_class
        connection = made(config=config, server_state=ServerState(), app_state={})
        connection.connection_made(transport)
        lines = b"".join(b"X-%d: y\r\n" % number for number in range(size // 10))[:size]
        lines = lines[: lines.rindex(b"\r\n") + 2]
        connection.data_received(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
        answered = b"".join(call.args[0] for call in transport.write.call_args_list)
        return answered, connection.cycle is not None

    answered, parsed = asyncio.run(sent())
    assert answered.startswith(b"HTTP/1.1 431") == refused
    assert parsed != refused


def test_silent_connections_make_room_for_new_ones(url: str) -> None:
    patient = replace(QUICK, header_s=60.0)
    with served(patient) as other, ExitStack() as stack:
        for _ in range(10 * patient.most):
            stack.enter_context(opened(other))
        begun = time.monotonic()
        assert httpx.get(f"{other}/healthz", timeout=5).status_code == 200
        assert time.monotonic() - begun < 2.0
        ours = {one.laddr.port for one in psutil.Process().net_connections() if one.laddr}
        assert urlsplit(other).port in ours
        held = [
            one
            for one in psutil.Process().net_connections("tcp")
            if one.laddr.port == urlsplit(other).port and one.status == psutil.CONN_ESTABLISHED
        ]
        assert len(held) <= patient.without_key + 1


def test_who_has_a_key_is_not_closed_for_those_who_have_none() -> None:
    patient = replace(QUICK, header_s=60.0, body_s=60.0)
    length = 20_000
    headers = (f"Authorization: Bearer {KEY}", f"Content-Length: {length}", "Connection: close")
    with served(patient) as other, ExitStack() as stack:
        uploading = opened(other, head("/v1/videos", *headers, method="POST") + b"x" * 10_000)
        time.sleep(0.2)
        for _ in range(5 * patient.without_key):
            stack.enter_context(opened(other))
        uploading.sendall(b"x" * 10_000)
        assert b"415" in told(uploading).split(b"\r\n")[0]


def test_most_connections_of_all_are_bounded_too() -> None:
    """Those with a key count as well; a new one finds room as long as somebody without one is
    there."""
    patient = replace(QUICK, header_s=60.0, body_s=60.0, without_key=5, most=10)
    headers = (f"Authorization: Bearer {KEY}", "Content-Length: 20000")
    with served(patient) as other, ExitStack() as stack:
        for _ in range(10):
            connection = opened(other, head("/v1/videos", *headers, method="POST"))
            stack.enter_context(connection)
            time.sleep(0.05)
        refused = threading.Event()
        with opened(other) as late:
            late.settimeout(SOON_S)
            try:
                if late.recv(1) == b"":
                    refused.set()
            except ConnectionResetError:
                refused.set()
        assert refused.is_set()


def test_limits_shrink_where_few_files_may_be_open() -> None:
    assert ConnectionLimits().within(4096) == ConnectionLimits()
    small = ConnectionLimits().within(256)
    assert small.most <= 128
    assert small.without_key < small.most

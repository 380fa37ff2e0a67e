"""Clients that mean harm, each in a way of its own, as a program.

Run as `python -m tests.hostile_clients URL KEY VIDEO [ATTACK ...]`: all of them, or those that are
named, at once until it is ended.
Does: use up connections, memory, decoders, model server and event loop as far as they let it.
Does not: go beyond loopback, or measure (see stress_hostile_clients).

Its rates are bounded, so that what others notice is the service's doing and not this machine's.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mllm_affect.data.megc.questions import Asked, Kind, word

SILENT, DRIPPING = 1_100, 100
ASKS_AT_ONCE = 44
NICENESS = 5
MIB = 1 << 20


@dataclass(frozen=True)
class Attacker:
    """One hostile client: where the service is, its own key, a video of 5 MiB within all limits."""

    url: str
    key: str
    video: bytes

    @property
    def headers(self) -> dict[str, str]:
        """What lets it in."""
        return {"Authorization": f"Bearer {self.key}"}

    def connect(self) -> socket.socket:
        """Open a connection."""
        address = urlsplit(self.url)
        return socket.create_connection((address.hostname, address.port), timeout=5)

    def client(self, timeout_s: float = 30.0) -> httpx.Client:
        """Return an HTTP client that sends the key."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=timeout_s)

    def ask(self, client: httpx.Client, **fields: object) -> httpx.Response:
        """Ask about the video."""
        return client.post("/v1/ask", files={"video": ("v.mp4", self.video)}, data=fields)

    def uploaded(self, client: httpx.Client) -> str:
        """Return the id of the video."""
        return str(client.post("/v1/videos", content=self.video).json()["id"])


def silent_connections(attacker: Attacker) -> None:
    """Hold many connections that say nothing, and open others for those that are closed."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            held.append(attacker.connect())
        if len(held) > SILENT:
            held.pop(0).close()
        time.sleep(0.002)


def dripping_headers(attacker: Attacker) -> None:
    """Send headers a line at a time, for ever."""
    held: list[socket.socket] = []
    while True:
        while len(held) < DRIPPING:
            made = attacker.connect()
            made.sendall(b"GET /v1/limits HTTP/1.1\r\nHost: localhost\r\n")
            held.append(made)
        for one in list(held):
            try:
                one.sendall(b"X-Drop: drip\r\n")
            except OSError:
                held.remove(one)
        time.sleep(1.0)


def large_headers(attacker: Attacker) -> None:
    """Send two hundred mebibytes of headers, again and again."""
    with contextlib.suppress(OSError), attacker.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        for _ in range(200):
            connection.sendall(b"y" * MIB)
    time.sleep(0.5)


def dripping_bodies(attacker: Attacker) -> None:
    """Upload a byte a second on many connections."""
    held: list[socket.socket] = []
    head = (
        "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {attacker.key}\r\nContent-Length: 400000000\r\n\r\n"
    ).encode()
    while True:
        while len(held) < DRIPPING:
            made = attacker.connect()
            made.sendall(head)
            held.append(made)
        for one in list(held):
            try:
                one.sendall(b"x")
            except OSError:
                held.remove(one)
        time.sleep(1.0)


def answers_not_taken(attacker: Attacker) -> None:
    """Ask for the whole video on many connections, and read nothing."""
    with attacker.client() as client:
        video_id = attacker.uploaded(client)
    asked = (
        f"GET /v1/videos/{video_id}/content HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {attacker.key}\r\n\r\n"
    ).encode()
    held: list[socket.socket] = []
    while True:
        made = attacker.connect()
        made.sendall(asked)
        held.append(made)
        if len(held) > DRIPPING:
            held.pop(0).close()
        time.sleep(0.1)


def hostile_json(attacker: Attacker) -> None:
    """Send JSON with very many faults, and JSON that is very large."""
    many = b'{"answers":[%s]}' % b",".join([b"1"] * 500_000)
    names = b"{%s}" % b",".join(b'"%x":0' % n for n in range(105_000))
    deep, large = b"[" * (MIB - 1), b'{"question":"%s"}' % (b"x" * 90 * MIB)
    with attacker.client() as client:
        for content in (many, names, deep, large):
            headers = {"Content-Type": "application/json"}
            client.post("/v1/analyses", content=content, headers=headers)
            time.sleep(0.5)


def many_asks(attacker: Attacker) -> None:
    """Ask 44 times at once about a large video, and leave some of the asks."""

    def asking(timeout_s: float) -> None:
        with contextlib.suppress(httpx.HTTPError), attacker.client(timeout_s) as client:
            attacker.ask(client, task="ah")

    threads = [
        threading.Thread(target=asking, args=(2.0 if number % 4 == 0 else 60.0,), daemon=True)
        for number in range(ASKS_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.5)


def failing_questions(attacker: Attacker) -> None:
    """Ask what the model server fails on, also as analyses, which stay and are tried again."""
    with attacker.client(60.0) as client:
        video_id = attacker.uploaded(client)
        for word_of_failure in ("REFUSED?", "CUT?", "SLOW?"):
            body = {"video_id": video_id, "question": word_of_failure, "answers": ["yes", "no"]}
            client.post("/v1/analyses", json=body)
            attacker.ask(client, question=word_of_failure, answers=["yes", "no"])
            time.sleep(1.0)


def long_answers(attacker: Attacker) -> None:
    """Give answers that are very long, or begin alike for as long as they may."""
    alike = "a" * 199
    with attacker.client() as client:
        video_id = attacker.uploaded(client)
        for answers in (["x" * (1 << 19), "y"], [f"{alike}b", f"{alike}c"], ["<|im_end|>", "no"]):
            body = {"video_id": video_id, "question": "Well?", "answers": answers}
            client.post("/v1/analyses", json=body)
            time.sleep(1.0)


def cancelled_analyses(attacker: Attacker) -> None:
    """Have long videos scanned for micro-expressions, and cancel that soon."""
    with attacker.client() as client:
        video_id = attacker.uploaded(client)
        body = {"video_id": video_id, "task": "me_lvqa", "question": word(Asked(Kind.count_all))}
        made = client.post("/v1/analyses", json=body).json()
        time.sleep(2.0)
        client.post(f"/v1/analyses/{made['id']}/cancel")


def left_looks(attacker: Attacker) -> None:
    """Have a video looked at, and leave before that is done."""
    with attacker.client() as client:
        video_id = attacker.uploaded(client)
        with contextlib.suppress(httpx.TimeoutException):
            client.get(f"/v1/videos/{video_id}/observed", timeout=1.0)
        client.delete(f"/v1/videos/{video_id}")  # so that the next one looks anew
    time.sleep(0.5)


ATTACKS: dict[str, Callable[[Attacker], None]] = {
    attack.__name__: attack
    for attack in (
        silent_connections, dripping_headers, large_headers, dripping_bodies, answers_not_taken,
        hostile_json, many_asks, failing_questions, long_answers, cancelled_analyses, left_looks,
    )
}  # fmt: skip


def again_and_again(attack: Callable[[Attacker], None], attacker: Attacker) -> None:
    """Attack without end; refusals and broken connections are what the attack is about."""
    while True:
        try:
            attack(attacker)
        except (httpx.HTTPError, OSError, KeyError, ValueError):
            time.sleep(0.5)


def running(attacker: Attacker, names: Sequence[str]) -> Iterator[threading.Thread]:
    """Yield a running thread for each attack."""
    for name in names:
        thread = threading.Thread(
            target=again_and_again, args=(ATTACKS[name], attacker), daemon=True
        )
        thread.start()
        yield thread


def main() -> None:
    """Attack until ended from outside."""
    url, key, video = sys.argv[1:4]
    host = urlsplit(url).hostname or ""
    if not ip_address(host).is_loopback:
        sys.exit(f"{host} is not this machine")
    os.nice(NICENESS)
    names = sys.argv[4:] or list(ATTACKS)
    threads = list(running(Attacker(url, key, Path(video).read_bytes()), names))
    while all(thread.is_alive() for thread in threads):
        time.sleep(0.5)
    sys.exit("an attack has ended by itself")


if __name__ == "__main__":
    main()

"""Hostile clients beside honest ones, part of `make fuzz`: python -m tests.stress_hostile_clients.

Does: run the service in front of a stub model server, attack it from another process in every way
of hostile_clients at once, ask as eight honest clients meanwhile, probe its health, watch its
memory, and look at what is left afterwards.
Does not: judge answers beyond that they come.

Every client has a key of its own, as a service that others can reach asks for.  An honest client
that is told to come again (429 or 503 with Retry-After) does so as it is told, a few times; how
often that was is counted too.
"""

import argparse
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "serve"))

import httpx
import numpy as np
import psutil
from fleet import Member
from stub_engine import stub_engine

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.engine.server_process import free_port
from tests.hostile_clients import ASKS_AT_ONCE, ATTACKS
from tests.without_proxies import remove_proxies

HONEST = 8
SECONDS = 300.0
SUCCESS, HEALTH_P99_S, RSS_MIB = 0.99, 0.25, 600.0
PAUSE_S = 0.5
TRIES = 4
LEFT_SECONDS, END_SECONDS = 30.0, 30.0
HOSTILE_BYTES = 5 << 20
SECONDS_A_QUESTION = 0.05


@dataclass
class Seen:
    """What was seen meanwhile; times in seconds."""

    asked: int = 0
    answered: int = 0
    at_once: int = 0
    failures: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    health_failures: list[str] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    attackers_died: str = ""


def make_video(path: Path, seconds: int, at_least: int = 0) -> None:
    """Make a video of noise; padded to so many bytes by a box that says nothing."""
    random = np.random.default_rng(len(path.name))
    frames = random.integers(0, 256, (seconds * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
    write_video(frames, random.normal(0, 3000, seconds * 16_000).astype(np.int16), path)
    missing = at_least - path.stat().st_size
    if missing > 0:
        with path.open("ab") as stream:
            stream.write(missing.to_bytes(4) + b"free" + bytes(missing - 8))


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Member, list[str]]]:
    """Yield a running service and its keys, the first of which is the attackers'."""
    keys = [f"the key of client {number}" for number in range(HONEST + 1)]
    listed = [
        {"name": f"client-{number}", "sha256": hashlib.sha256(key.encode()).hexdigest()}
        for number, key in enumerate(keys)
    ]
    lines = "\n".join(f"- {json.dumps(one)}" for one in listed)
    (folder / "keys.yaml").write_text(f"{lines}\n")
    with stub_engine(SECONDS_A_QUESTION) as stub:
        port = free_port()
        words = ["--data", str(folder / "data"), "--engine-url", stub.url]
        words += ["--api-key-file", str(folder / "keys.yaml")]
        member = Member("serve", "--port", str(port), *words, port=port)
        try:
            member.wait_ready()
            wait_until(lambda: httpx.get(f"{member.url}/readyz").status_code == 200, 60)
            yield member, keys
        finally:
            member.kill()


def wait_until(true: Any, seconds: float) -> bool:
    """Wait until something holds; return whether it does in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def honest(url: str, key: str, video: bytes, seen: Seen, over: threading.Event) -> None:
    """Ask about a video again and again, as an ordinary client does."""
    numbers = itertools.count()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60.0) as client:
        while not over.is_set():
            begun = time.monotonic()
            asked = {"question": f"{next(numbers)}?", "answers": ["yes", "no"]}
            told = _asked(client, video, asked, over)
            if told is None:
                return
            tries, response = told
            seen.asked += 1
            if isinstance(response, httpx.Response) and response.status_code == 200:
                seen.answered += 1
                seen.at_once += tries == 1
                seen.waits_s.append(time.monotonic() - begun)
            else:
                seen.failures.append(str(response)[:200])
            over.wait(PAUSE_S)


def _asked(
    client: httpx.Client, video: bytes, asked: dict[str, Any], over: threading.Event
) -> tuple[int, httpx.Response | Exception] | None:
    """Return how often was asked, and what came last; None when it is over before that."""
    last: httpx.Response | Exception = RuntimeError("not asked")
    for tries in range(1, TRIES + 1):
        try:
            last = client.post("/v1/ask", files={"video": ("v.mp4", video)}, data=asked)
        except httpx.HTTPError as error:
            last = error
        wait_s = 1.0
        if isinstance(last, httpx.Response):
            if last.status_code not in (429, 503):
                return tries, last
            wait_s = float(last.headers.get("retry-after", 1))
        if over.wait(wait_s):
            return None
    return TRIES, last


def probe(member: Member, seen: Seen, over: threading.Event) -> None:
    """Look at health ten times a second, each time on a new connection, and at memory."""
    process = psutil.Process(member.process.pid)
    while not over.wait(0.1):
        begun = time.monotonic()
        # httpx would spend more time on each new connection than the service does.
        connection = HTTPConnection("127.0.0.1", member.port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
            if status != 200:
                seen.health_failures.append(str(status))
        except OSError as error:
            seen.health_failures.append(repr(error))
        finally:
            connection.close()
        seen.health_s.append(time.monotonic() - begun)
        seen.rss_mib.append(process.memory_info().rss / (1 << 20))


def stress(seconds: float, attacks: Sequence[str] = tuple(ATTACKS)) -> dict[str, Any]:
    """Attack for so long; return what was seen, and what was left."""
    seen, over = Seen(), threading.Event()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_video(folder / "honest.mp4", 6)
        make_video(folder / "hostile.mp4", 100, HOSTILE_BYTES)
        with serving(folder) as (member, keys):
            video = (folder / "honest.mp4").read_bytes()
            threads = [
                threading.Thread(target=honest, args=(member.url, key, video, seen, over))
                for key in keys[1:]
            ]
            threads.append(threading.Thread(target=probe, args=(member, seen, over)))
            command = [sys.executable, "-m", "tests.hostile_clients", member.url, keys[0]]
            command += [str(folder / "hostile.mp4"), *attacks]
            attackers = subprocess.Popen(command, stderr=subprocess.PIPE) if attacks else None
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            over.set()
            for thread in threads:
                thread.join()
            if attackers is not None:
                if attackers.poll() is not None and attackers.stderr is not None:
                    seen.attackers_died = attackers.stderr.read().decode()[-500:]
                attackers.kill()
                attackers.wait()
            return told(seen, left(member, keys[0], folder / "data"), seconds)


def left(member: Member, key: str, data: Path) -> list[str]:
    """Return what is still there some seconds after the attacks, and what the end brings."""
    found: list[str] = []
    process = psutil.Process(member.process.pid)

    def own() -> list[Any]:
        taken = process.net_connections("tcp")
        return [one for one in taken if one.laddr.port == member.port and one.raddr]

    def waits() -> bool:
        headers = {"Authorization": f"Bearer {key}"}
        listed = httpx.get(f"{member.url}/v1/analyses?limit=100", headers=headers).json()["items"]
        for one in listed:
            if one["status"] in ("queued", "running"):
                httpx.post(f"{member.url}/v1/analyses/{one['id']}/cancel", headers=headers)
        return not any(one["status"] in ("queued", "running") for one in listed)

    for what, true in (
        ("unfinished analyses", waits),
        ("decoders", lambda: not process.children()),
        ("connections", lambda: len(own()) <= 2),
        ("uploads", lambda: not list((data / "incoming").iterdir())),
        ("not ready", lambda: httpx.get(f"{member.url}/readyz").status_code == 200),
    ):
        if not wait_until(true, LEFT_SECONDS):
            found.append(what)
    begun = time.monotonic()
    member.process.terminate()
    try:
        status = member.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return [*found, "the service"]
    if status != 0:
        found.append(f"exit status {status}")
    said = member.process.stderr.read().decode() if member.process.stderr else ""
    if "Traceback" in said:
        found.append(f"a traceback: {said[-300:]}")
    if time.monotonic() - begun > END_SECONDS:
        found.append("a late end")
    return found


def told(seen: Seen, left_over: list[str], seconds: float) -> dict[str, Any]:
    """Return the figures, and whether they hold to the bounds."""
    health = np.array(seen.health_s)
    success = seen.answered / max(1, seen.asked)
    figures = {
        "seconds": seconds,
        "honest_asks": seen.asked,
        "success": round(success, 4),
        "success_at_once": round(seen.at_once / max(1, seen.asked), 4),
        "ask_median_s": round(statistics.median(seen.waits_s or [0.0]), 2),
        "ask_longest_s": round(max(seen.waits_s, default=0.0), 2),
        "health_looks": len(health),
        "health_p50_ms": round(1000 * float(np.percentile(health, 50)), 1),
        "health_p99_ms": round(1000 * float(np.percentile(health, 99)), 1),
        "health_longest_ms": round(1000 * float(health.max()), 1),
        "health_failures": len(seen.health_failures),
        "rss_mib": round(max(seen.rss_mib), 1),
        "left": left_over,
        "failures": seen.failures[:5] + seen.health_failures[:5],
        "attackers_died": seen.attackers_died,
        "asks_attacking_at_once": ASKS_AT_ONCE,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    held = {
        "success": success >= SUCCESS,
        "health_p99": figures["health_p99_ms"] <= 1000 * HEALTH_P99_S and not seen.health_failures,
        "rss": figures["rss_mib"] <= RSS_MIB,
        "left": not left_over,
        "attacked": not seen.attackers_died,
    }
    return {**figures, "held": held}


def main(words: Sequence[str] | None = None) -> None:
    """Attack, print the figures, end with 1 where a bound does not hold."""
    remove_proxies()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--attack", nargs="*", choices=ATTACKS, default=list(ATTACKS),
                        help="only these; none: honest clients alone, to compare")  # fmt: skip
    chosen = parser.parse_args(words)
    figures = stress(chosen.seconds, chosen.attack)
    print(json.dumps(figures, indent=1))  # noqa: T201 - the program's output
    sys.exit(0 if all(figures["held"].values()) else 1)


if __name__ == "__main__":
    main()

"""Service and worker processes over one store, in front of stub model servers, to be killed.

Does: start, kill and restart them, put load on them, and look at what became of it.
"""

import contextlib
import itertools
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from stub_engine import Stub

from mllm_affect.engine.server_process import free_port

WITHIN_SECONDS = 180.0


class Member:
    """One process of the fleet."""

    def __init__(self, *words: str, port: int | None = None) -> None:
        self.port, self._words = port, words
        self.url = f"http://127.0.0.1:{port}"
        self.ready_s: list[float] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mllm_affect", *self._words]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )

    def wait_ready(self) -> None:
        """Wait until a service answers at /healthz, and note how long it took."""
        while self.port is not None:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    self.ready_s.append(time.monotonic() - self.begun)
                    return
            assert time.monotonic() - self.begun < WITHIN_SECONDS
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


class Fleet:
    """Some services and workers over one store and one stub."""

    def __init__(
        self, data: Path, stub: Stub, services: int, workers: int, database: str | None = None
    ) -> None:
        self.stub, self.data = stub, data
        shared = ["--data", str(data), "--engine-url", stub.url]
        shared += ["--database", database] if database else []
        ports = [free_port() for _ in range(services)]
        self.services = [
            Member("serve", "--port", str(port), "--jobs", "0", *shared, port=port)
            for port in ports
        ]
        self.workers = [Member("worker", *shared) for _ in range(workers)]
        for member in self.services:
            member.wait_ready()
        self.accepted: dict[str, str] = {}
        self._numbers = itertools.count()
        self._stopping = threading.Event()

    def post(self, path: str, **given: Any) -> Any:
        """Post until somebody answers; who was killed or told to come back asks again."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            url = random.choice(self.services).url
            with contextlib.suppress(httpx.HTTPError):
                response = httpx.post(f"{url}{path}", timeout=20, **given)
                if response.status_code != 503:
                    assert response.status_code in (201, 202), response.text
                    return response.json()
            time.sleep(0.1)
        raise AssertionError("nobody answers")

    def get(self, path: str) -> Any:
        """Get from any service; None where there is no such thing."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            url = random.choice(self.services).url
            with contextlib.suppress(httpx.HTTPError):
                response = httpx.get(f"{url}{path}", timeout=20)
                if response.status_code != 503:
                    assert response.status_code in (200, 404), response.text
                    return response.json() if response.status_code == 200 else None
            time.sleep(0.1)
        raise AssertionError("nobody answers")

    def ask(self, video: Path) -> None:
        """Upload and ask once; the question is one of four, so that answers can be compared."""
        number = next(self._numbers)
        uploaded = self.post("/v1/videos", content=video.read_bytes())
        question = f"Question {number % 4}?"
        made = self.post(
            "/v1/analyses",
            json={"video_id": uploaded["id"], "question": question, "answers": ["yes", "no"]},
            headers={"Idempotency-Key": f"key-{number}"},
        )
        self.accepted[made["id"]] = question

    @contextmanager
    def load(self, video: Path, every_s: float) -> Iterator[None]:
        """Ask all the time while the block runs."""
        failures: list[BaseException] = []

        def asking() -> None:
            while not self._stopping.wait(every_s):
                try:
                    self.ask(video)
                except BaseException as error:
                    failures.append(error)
                    return

        thread = threading.Thread(target=asking, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(WITHIN_SECONDS)
        assert not failures, failures

    def finished(self) -> dict[str, Any]:
        """Wait until everything that was accepted has ended; return it by id."""
        deadline, found = time.monotonic() + WITHIN_SECONDS, {}
        for analysis_id in self.accepted:
            while (one := self.get(f"/v1/analyses/{analysis_id}")) is not None:
                if one["status"] not in ("queued", "running"):
                    break
                assert time.monotonic() < deadline, one
                time.sleep(0.1)
            found[analysis_id] = one
        return found

    def check(self) -> None:
        """Nothing accepted is lost, answers to one question are one, each segment came once."""
        verdicts: dict[str, Any] = {}
        for analysis_id, found in self.finished().items():
            assert found is not None, "lost"
            assert found["status"] == "succeeded", found
            assert found["progress"] == {"done": 2, "total": 2}
            answer = found["answer"]["probabilities"]
            assert verdicts.setdefault(self.accepted[analysis_id], answer) == answer
            segments = self.get(f"/v1/analyses/{analysis_id}/segments")["items"]
            assert [one["index"] for one in segments] == [0, 1]
            events = self.events(analysis_id)
            assert (events.count("segment"), events.count("succeeded")) == (2, 1), events

    def events(self, analysis_id: str) -> list[str]:
        """The kinds of all events of an analysis."""
        text = httpx.get(
            f"{self.services[0].url}/v1/analyses/{analysis_id}/events", timeout=20
        ).text
        return [line[7:] for line in text.splitlines() if line.startswith("event: ")]

    def close(self) -> None:
        """End everything."""
        for member in [*self.services, *self.workers]:
            member.kill()


@contextmanager
def fleet(
    data: Path, stub: Stub, services: int = 1, workers: int = 1, database: str | None = None
) -> Iterator[Fleet]:
    running = Fleet(data, stub, services, workers, database)
    try:
        yield running
    finally:
        running.close()

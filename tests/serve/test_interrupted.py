"""Services and workers are killed while their database is interrupted, all under load.

Nothing accepted is lost, duplicated or failed, and what was erased is on no disk and in no table.
The full length, a hundred kills and twenty interruptions on each database, is a trial.
"""

import itertools
import json
import random
import signal
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet import WITHIN_SECONDS, Fleet
from postgres_server import Postgres, postgres_server
from stub_engine import stub_engine

ASKERS = 4


class Supervised(Fleet):
    """A fleet whose members are started again when they end, as a supervisor does."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.restarts, self._done = 0, threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def _supervise(self) -> None:
        while not self._done.wait(0.2):
            for member in [*self.services, *self.workers]:
                if member.process.poll() is not None:
                    self.restarts += 1
                    if member.process.stderr is not None:
                        member.process.stderr.close()
                    member.start()

    def kill_one(self) -> None:
        """Kill any service or worker with SIGKILL."""
        random.choice([*self.services, *self.workers]).process.kill()

    def close(self) -> None:
        self._done.set()
        self._supervisor.join(10)
        super().close()


class Load:
    """Uploads, asks and erases all the time; remembers what was accepted and what was erased."""

    def __init__(self, fleet: Supervised, video: bytes, every_s: float) -> None:
        self._fleet, self._video, self._every_s = fleet, video, every_s
        self._numbers = itertools.count()
        self.markers: list[str] = []
        self.erased: list[str] = []
        self.failures: list[BaseException] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(ASKERS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join(WITHIN_SECONDS)
        assert not self.failures, self.failures

    def _run(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                self._once(next(self._numbers))
            except BaseException as error:
                self.failures.append(error)
                return

    def _once(self, number: int) -> None:
        """Two of three are kept, about a video that all share; the third is erased again."""
        if number % 3:
            video_id = self._upload(self._video)
            for place in range(4):
                question = f"Question {place}?"
                made = self._ask(video_id, question, f"{number}-{place}")
                self._fleet.accepted[made] = question
            return
        marker = f"secret-{number:06d}-{random.getrandbits(64):016x}"
        video_id = self._upload(marked(self._video, marker))
        analysis_id = self._ask(video_id, f"{marker}?", marker)
        time.sleep(random.choice((0.0, 0.3, 1.5)))  # before, while or after it is answered
        self._erase(video_id)
        self.markers.append(marker)
        self.erased += [video_id, analysis_id]

    def _upload(self, content: bytes) -> str:
        return str(self._fleet.post("/v1/videos", content=content)["id"])

    def _ask(self, video_id: str, question: str, key: str) -> str:
        body = {"video_id": video_id, "question": question, "answers": ["yes", "no"]}
        headers = {"Idempotency-Key": key}
        return str(self._fleet.post("/v1/analyses", json=body, headers=headers)["id"])

    def _erase(self, video_id: str) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            url = random.choice(self._fleet.services).url
            with suppress(httpx.HTTPError):
                response = httpx.delete(f"{url}/v1/videos/{video_id}", timeout=20)
                if response.status_code in (204, 404):  # 404: the answer to an earlier try was lost
                    return
                assert response.status_code == 503, response.text
            time.sleep(0.1)
        raise AssertionError("nobody erases")


def marked(video: bytes, marker: str) -> bytes:
    """The same video with a marker in a box that players skip."""
    return video + struct.pack(">I4s", 8 + len(marker), b"free") + marker.encode()


def lock_sqlite(path: Path) -> None:
    """Hold the lock for writing, at times for longer than anybody waits for it."""
    other = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(random.choice((0.3, 2.0, 7.0)))
    finally:
        other.close()


def interrupt_postgres(server: Postgres) -> None:
    """Cut every connection, or restart the server in order or as after a crash."""
    how = random.choice(("cut", "restart", "crash"))
    if how == "cut":
        server.cut_connections()
        return
    server.stop(signal.SIGINT if how == "restart" else signal.SIGQUIT)
    time.sleep(random.choice((0.0, 1.0, 4.0)))
    server.start()


def disturbed(running: Supervised, interrupt: Callable[[], None], kills: int, cuts: int) -> None:
    """Kill and interrupt at the same time."""
    failures: list[BaseException] = []

    def interrupting() -> None:
        try:
            for _ in range(cuts):
                time.sleep(random.uniform(0.5, 4.0))
                interrupt()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=interrupting, daemon=True)
    thread.start()
    for _ in range(kills):
        time.sleep(random.uniform(0.5, 3.0))
        running.kill_one()
    thread.join(WITHIN_SECONDS)
    assert not thread.is_alive()
    assert not failures, failures


def left_of(running: Supervised, load: Load, count: Callable[[str], int]) -> list[str]:
    """What is left of the erased: files that hold a marker, rows that name an id."""
    files = [path for path in running.data.rglob("*") if path.is_file()]
    found = []
    for path in files:
        with suppress(FileNotFoundError):
            content = path.read_bytes()
            found += [path.name for marker in load.markers if marker.encode() in content]
    found += [path.name for path in (running.data / "incoming").iterdir()]
    found += [str(path) for path in running.data.rglob(".writing-*")]
    return found + [one for one in load.erased if count(one)]


def rows_in(rows: Callable[[str], list[tuple[Any, ...]]]) -> Callable[[str], int]:
    """Count in how many tables an id stands."""
    tables = {"videos": "id", "analyses": "id", "segments": "analysis_id", "events": "analysis_id"}

    def count(one: str) -> int:
        return sum(
            int(rows(f"SELECT count(*) FROM {table} WHERE {name} = '{one}'")[0][0])
            for table, name in tables.items()
        )

    return count


@contextmanager
def database(kind: str, data: Path) -> Iterator[tuple[str | None, Any, Any]]:
    """Yield a database's address, how it is interrupted, and how it is asked."""
    if kind == "sqlite":
        path = data / "service.sqlite"

        def asked_sqlite(statement: str) -> list[tuple[Any, ...]]:
            with sqlite3.connect(path) as connection:
                found = connection.execute(statement).fetchall()
            connection.close()
            return found

        yield None, lambda: lock_sqlite(path), asked_sqlite
        return
    import psycopg

    with postgres_server() as server:

        def asked_postgres(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(server.url) as connection:
                return connection.execute(statement.encode()).fetchall()

        yield server.url, lambda: interrupt_postgres(server), asked_postgres


def survived(kind: str, kills: int, cuts: int, data: Path, video: Path) -> dict[str, Any]:
    with stub_engine(0.1) as stub, database(kind, data) as (url, interrupt, rows):
        running = Supervised(data, stub, services=2, workers=2, database=url)
        try:
            load = Load(running, video.read_bytes(), every_s=0.2)
            with load.running():
                disturbed(running, interrupt, kills, cuts)
            ended = running.finished()
            made = rows("SELECT idempotency_key, count(*) FROM analyses GROUP BY 1")
            counted = {
                "lost": sum(found is None for found in ended.values()),
                "failed": sum(found is not None and found["status"] != "succeeded"
                              for found in ended.values()),
                "duplicated": sum(count > 1 for _, count in made),
            }  # fmt: skip
            assert set(counted.values()) == {0}, (counted, ended)
            running.check()  # each segment and each end once, one answer to one question
            # A process that starts keeps house at once, others within a minute.
            deadline = time.monotonic() + 90
            while left := left_of(running, load, rows_in(rows)):
                assert time.monotonic() < deadline, left
                time.sleep(1.0)
            stored = [path for path in (data / "videos").rglob("*") if path.is_file()]
            assert len(stored) == 1, stored
            assert load.markers
            return {
                "database": kind, "kills": kills, "interruptions": cuts,
                "accepted": len(running.accepted), "erased": len(load.markers),
                "restarts": running.restarts, **counted,
            }  # fmt: skip
        finally:
            running.close()


@pytest.mark.rebuild
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kills_and_interruptions_lose_nothing(kind: str, tmp_path: Path, video: Path) -> None:
    random.seed(1)
    print(json.dumps(survived(kind, 6, 3, tmp_path, video)))  # noqa: T201 - the figure of the run


@pytest.mark.trial
@pytest.mark.rebuild
@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_hundred_kills_and_twenty_interruptions_lose_nothing(
    kind: str, part: int, tmp_path: Path, video: Path
) -> None:
    """Five times twenty kills and four interruptions, so that no part takes long."""
    random.seed(100 + part)
    print(json.dumps(survived(kind, 20, 4, tmp_path, video)))  # noqa: T201 - the figure of the run

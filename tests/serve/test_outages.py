"""The database goes away for a while: requests are told so, and what was accepted goes on."""

import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Postgres, postgres_server
from service_in_process import Service
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from serve.settings import ServiceSettings
from serve.store import connection as store_connection
from serve.store import database
from serve.store.storage_errors import DatabaseAwayError, StorageFullError, database_faults
from serve.store.tables import metadata
from serve.work.worker import Worker

SETTINGS = ServiceSettings(lease_s=2.0)
Away = Callable[[], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.rebuild)])
def service(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Service, Away]]:
    """A service, and how its database is put out for the length of a block."""
    monkeypatch.setattr(store_connection, "BUSY_MS", 200)
    monkeypatch.setattr(store_connection, "PROBE_MS", 100)
    monkeypatch.setattr(database, "PROBE_FRESH_SECONDS", 0.0)
    if request.param == "sqlite":
        made = Service(SETTINGS)
        yield made, lambda: locked(Path(made.folder.name) / "service.sqlite")
    else:
        server: Postgres = request.getfixturevalue("server")
        made = Service(SETTINGS, database_url=server.url)
        yield made, lambda: stopped(server)
        with made.state.store.database.writing() as connection:
            for table in metadata.tables.values():
                connection.execute(table.delete())
    made.state.store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes into the file all the while."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def stopped(server: Postgres) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


def asked(service: Service, video: Path, number: int = 0) -> str:
    found = service.http.post("/v1/videos", content=video.read_bytes()).json()
    body = {"video_id": found["id"], "question": f"{number}?", "answers": ["yes", "no"]}
    made = service.http.post("/v1/analyses", json=body)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


def test_requests_are_told_to_come_back(service: tuple[Service, Away], video: Path) -> None:
    running, away = service
    found = running.http.post("/v1/videos", content=video.read_bytes()).json()
    body = {"video_id": found["id"], "task": "ah"}
    assert running.http.get("/readyz").status_code == 200
    with away():
        begun = time.monotonic()
        answers = [
            running.http.post("/v1/analyses", json=body),
            running.http.post("/v1/videos", content=video.read_bytes()),
            running.http.delete(f"/v1/videos/{found['id']}"),
            running.http.get("/readyz"),
        ]
        assert time.monotonic() - begun < 10
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
            assert int(answer.headers["retry-after"]) >= 1
        assert running.http.get("/healthz").status_code == 200
        scraped = running.http.get("/metrics")
        assert "mllm_affect_database_ready 0.0" in scraped.text
    assert running.http.get("/readyz").status_code == 200
    assert running.http.post("/v1/analyses", json=body).status_code == 202
    assert "mllm_affect_database_ready 1.0" in running.http.get("/metrics").text


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    service: tuple[Service, Away], caplog: pytest.LogCaptureFixture
) -> None:
    running, away = service
    store = running.state.store
    with caplog.at_level(logging.WARNING, "mllm_affect"):
        with away():
            for _ in range(3):
                with pytest.raises(DatabaseAwayError):
                    store.videos.sweep()
        store.videos.sweep()
    said = [record.message for record in caplog.records if "takes" in record.message]
    assert len(said) == 2
    assert said[0].startswith("the database takes no change")
    assert said[1] == "the database takes changes again"


def put_out_at(
    service: Service, away: Away, at: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put the database out for so long while the engine answers the n-th clip."""
    true_score, asked_for = service.engine.score, itertools.count(1)

    def hold(begun: threading.Event) -> None:
        with away():
            begun.set()
            time.sleep(seconds)

    def score(inputs: Any, answers: Any) -> Any:
        if next(asked_for) == at:
            begun = threading.Event()
            threading.Thread(target=hold, args=(begun,)).start()
            assert begun.wait(10)
        return true_score(inputs, answers)

    monkeypatch.setattr(service.engine, "score", score)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("lease_s", [4.0, 0.5])
def test_an_accepted_analysis_does_not_fail_for_it(
    service: tuple[Service, Away],
    video: Path,
    at: int,
    lease_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A short outage is waited for; one that is longer than the lease puts the analysis back."""
    running, away = service
    monkeypatch.setitem(running.state.settings.__dict__, "lease_s", lease_s)
    analysis_id = asked(running, video)
    put_out_at(running, away, at, 1.5, monkeypatch)
    worker = Worker(running.state)
    worker.start()
    try:
        found = finished(running, analysis_id)
    finally:
        worker.stop()
    assert (found["status"], found["progress"]) == ("succeeded", {"done": 2, "total": 2})
    events = running.http.get(f"/v1/analyses/{analysis_id}/events").text
    assert (events.count("event: segment"), events.count("event: succeeded")) == (2, 1)


def finished(service: Service, analysis_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        answer = service.http.get(f"/v1/analyses/{analysis_id}")
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            if found["status"] not in ("queued", "running"):
                return found
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


@pytest.mark.rebuild
def test_connections_that_are_cut_fourteen_times_fail_nothing(
    server: Postgres, video: Path
) -> None:
    running = Service(ServiceSettings(jobs_at_once=4), database_url=server.url)
    ids = [asked(running, video, number) for number in range(24)]
    worker = Worker(running.state)
    worker.start()
    try:
        cut = 0
        for _ in range(14):
            time.sleep(0.2)
            cut += server.cut_connections()
        assert cut
        assert {finished(running, one)["status"] for one in ids} == {"succeeded"}
    finally:
        worker.stop()


def test_a_stream_of_events_goes_on_after_an_outage(
    service: tuple[Service, Away], video: Path
) -> None:
    running, _ = service
    analysis_id = asked(running, video)
    read: list[str] = []

    def follow() -> None:
        read.append(running.http.get(f"/v1/analyses/{analysis_id}/events").text)

    true_after = running.state.store.events.after
    calls: list[int] = []

    def away_at_the_second(analysis: str, number: int) -> Any:
        calls.append(number)
        if len(calls) == 2:
            raise DatabaseAwayError
        return true_after(analysis, number)

    object.__setattr__(running.state.store.events, "after", away_at_the_second)
    thread = threading.Thread(target=follow)
    thread.start()
    while len(calls) < 3:
        time.sleep(0.01)
    running.worked()
    thread.join(20)
    assert read[0].count("event: segment") == 2
    assert "event: succeeded" in read[0]


@pytest.mark.parametrize(
    ("orig", "raised"),
    [
        ({"sqlite_errorcode": sqlite3.SQLITE_BUSY}, DatabaseAwayError),
        ({"sqlite_errorcode": sqlite3.SQLITE_BUSY_SNAPSHOT}, DatabaseAwayError),
        ({"sqlite_errorcode": sqlite3.SQLITE_IOERR_WRITE}, DatabaseAwayError),
        ({"sqlite_errorcode": sqlite3.SQLITE_CANTOPEN}, DatabaseAwayError),
        ({"sqlite_errorcode": sqlite3.SQLITE_FULL}, StorageFullError),
        ({"sqlite_errorcode": sqlite3.SQLITE_ERROR}, OperationalError),  # a fault of ours
        ({"sqlite_errorcode": sqlite3.SQLITE_CORRUPT}, OperationalError),
        ({"sqlstate": None}, DatabaseAwayError),  # no connection
        ({"sqlstate": "57P01"}, DatabaseAwayError),  # an operator ended it
        ({"sqlstate": "57P03"}, DatabaseAwayError),  # starting up
        ({"sqlstate": "40P01"}, DatabaseAwayError),  # rolled back for a deadlock
        ({"sqlstate": "25006"}, DatabaseAwayError),  # read-only: the primary is another now
        ({"sqlstate": "55P03"}, DatabaseAwayError),  # a lock that is not to be had
        ({"sqlstate": "53300"}, DatabaseAwayError),  # too many connections
        ({"sqlstate": "53100"}, StorageFullError),
    ],
)
def test_faults_of_the_database_are_told_from_ours(
    orig: dict[str, Any], raised: type[Exception]
) -> None:
    inner = type("Driver", (Exception,), orig)()
    with pytest.raises(raised), database_faults():
        raise OperationalError("SELECT", {}, inner)


def test_our_own_mistakes_stay_what_they_are(service: tuple[Service, Away]) -> None:
    running, _ = service
    with (
        pytest.raises((ProgrammingError, OperationalError)),
        running.state.store.database.reading() as connection,
    ):
        connection.execute(text("SELECT nothing FROM nowhere"))
    with pytest.raises(IntegrityError), running.state.store.database.writing() as connection:
        connection.execute(text("INSERT INTO events (kind, data) VALUES (NULL, NULL)"))

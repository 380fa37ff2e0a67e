"""What is erased or over is gone: rows, bytes, clips, folders of killed processes; on any clock."""

import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from postgres_server import postgres_server
from service_in_process import Service
from sqlalchemy import event, text
from stored import MODEL, TASK, answer, kept

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.temporary import sweep_temporary, temporary_folder
from serve.store import Store
from serve.store.database import MIGRATION_LOCK, MIGRATIONS, Database
from serve.store.queue import LeaseLostError
from serve.store.tables import metadata
from serve.work.worker import keep_house

DAY = 86_400.0


def aged(store: Store, table: str, **seconds: float) -> None:
    """Move times of all rows so far into the past."""
    changes = ", ".join(f"{name} = {name} - {by}" for name, by in seconds.items())
    with store.database.writing() as connection:
        connection.execute(text(f"UPDATE {table} SET {changes}"))


def test_a_video_that_waits_for_a_model_that_nobody_serves_goes_in_its_time(store: Store) -> None:
    video = kept(store)
    asked = store.analyses.ask("", video, TASK, "a model of yesterday")
    aged(store, "videos", uploaded_s=2 * DAY)
    assert store.analyses.end_unserved(DAY) == 0
    assert store.videos.expire(DAY) == 0, "it has been asked about just now"
    aged(store, "analyses", created_s=2 * DAY)
    assert store.analyses.end_unserved(DAY) == 1
    found = store.analyses.get("", asked.id)
    assert found is not None
    assert (found.status, found.error_code) == ("failed", "not_served")
    assert store.events.after(asked.id, 0)[-1].kind == "failed"
    assert store.videos.expire(DAY) == 1
    assert not video.source.path.exists()


def test_one_that_was_put_back_has_waited_since_then(store: Store) -> None:
    store.analyses.ask("", kept(store), TASK, MODEL)
    lease = store.queue.take(MODEL, 60)
    assert lease is not None
    aged(store, "analyses", created_s=2 * DAY)
    assert store.analyses.end_unserved(DAY) == 0, "it is worked on"
    store.queue.put_back(lease, 0.0)
    assert store.analyses.end_unserved(DAY) == 0


def test_one_whose_only_worker_fell_silent_waits_again_and_then_goes(store: Store) -> None:
    asked = store.analyses.ask("", kept(store), TASK, "a model of yesterday")
    lease = store.queue.take("a model of yesterday", -1)
    assert lease is not None
    assert store.queue.release_silent() == 1
    found = store.analyses.get("", asked.id)
    assert found is not None
    assert found.status == "queued"
    with pytest.raises(LeaseLostError):
        store.queue.add(lease, answer(0), 1)
    aged(store, "analyses", created_s=2 * DAY, not_before_s=2 * DAY)
    assert store.analyses.end_unserved(DAY) == 1


def test_a_video_that_is_uploaded_again_begins_its_time_anew(service: Service, video: Path) -> None:
    store = service.state.store
    first = service.http.post("/v1/videos", content=video.read_bytes()).json()
    aged(store, "videos", uploaded_s=DAY - 20, created_s=DAY - 20)
    again = service.http.post("/v1/videos", content=video.read_bytes()).json()
    assert again["id"] == first["id"]
    aged(store, "videos", uploaded_s=25)
    keep_house(service.state)
    assert service.http.get(f"/v1/videos/{first['id']}").status_code == 200
    assert service.http.get(f"/v1/videos/{first['id']}/content").content == video.read_bytes()
    aged(store, "videos", uploaded_s=DAY)
    keep_house(service.state)
    assert service.http.get(f"/v1/videos/{first['id']}").status_code == 404


def test_nothing_can_be_asked_about_a_video_that_was_just_erased(store: Store) -> None:
    video = kept(store)  # as a request has it that looked it up a moment before
    assert store.videos.erase("", video.id)
    with pytest.raises(UserError) as caught:
        store.analyses.ask("", video, TASK, MODEL)
    assert caught.value.code == "unknown_video"
    assert store.analyses.counts() == {}


def test_asking_while_a_video_is_erased_leaves_nothing(store: Store) -> None:
    for number in range(6):
        video = kept(store, content=f"video {number}".encode())
        stop, refused = threading.Event(), []

        def ask(video: Any = video, stop: Any = stop, refused: Any = refused) -> None:
            while not stop.is_set():
                try:
                    store.analyses.ask("", video, TASK, MODEL)
                except UserError as error:
                    refused.append(error.code)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        time.sleep(0.02)
        assert store.videos.erase("", video.id)
        time.sleep(0.02)
        stop.set()
        for asker in askers:
            asker.join()
        assert set(refused) == {"unknown_video"}
    assert store.analyses.counts() == {}
    assert rows_of_nothing(store) == 0


def rows_of_nothing(store: Store) -> int:
    """How many segments and events there are of analyses that are not."""
    with store.database.reading() as connection:
        return sum(
            int(connection.scalar(text(f"SELECT count(*) FROM {table} WHERE analysis_id NOT IN "
                                       "(SELECT id FROM analyses)")) or 0)
            for table in ("segments", "events")
        )  # fmt: skip


@pytest.mark.parametrize("erase", ["video", "analysis"])
def test_erasing_while_a_worker_writes_leaves_nothing(store: Store, erase: str) -> None:
    for number in range(4):
        video = kept(store, content=f"video {number}".encode())
        asked = store.analyses.ask("", video, TASK, MODEL)
        lease = store.queue.take(MODEL, 60)
        assert lease is not None
        lost = threading.Event()

        def write(lease: Any = lease, lost: Any = lost) -> None:
            for index in range(10_000):
                try:
                    store.queue.add(lease, answer(index), index + 1)
                except LeaseLostError:
                    lost.set()
                    return

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.03)
        if erase == "video":
            assert store.videos.erase("", video.id)
        else:
            assert store.analyses.erase("", asked.id)
        writer.join(20)
        assert lost.is_set()
        assert rows_of_nothing(store) == 0


def test_clips_that_killed_workers_were_writing_are_swept(store: Store) -> None:
    video = kept(store)
    cache = ClipCache.open(store.media.clips(video.source.sha256), 1 << 20)
    left = cache.folder / "clips" / ".writing-left"
    left.write_bytes(b"half a clip")
    with cache.publishing("a" * 64) as stream:
        stream.write(b"whole")
        store.videos.sweep()
        assert not left.exists()
    assert cache.path("a" * 64).exists(), "a living writer keeps what it writes"


def test_clips_that_are_kept_after_the_video_was_erased_go_with_the_job(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = service.http.post("/v1/videos", content=video.read_bytes()).json()
    service.http.post("/v1/analyses", json={"video_id": found["id"], "task": "ah"})
    true_score = service.engine.score

    def erased_meanwhile(inputs: Any, answers: Any) -> Any:
        service.http.delete(f"/v1/videos/{found['id']}")
        return true_score(inputs, answers)

    monkeypatch.setattr(service.engine, "score", erased_meanwhile)
    service.worked()
    folder = Path(service.folder.name)
    left = [path for part in ("clips", "videos") for path in (folder / part).rglob("*.npz")]
    assert left == []


def test_what_was_observed_of_a_video_goes_with_it(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = service.http.post("/v1/videos", content=video.read_bytes()).json()
    from serve import observing

    def erased_meanwhile(*_given: Any) -> list[Any]:
        service.http.delete(f"/v1/videos/{found['id']}")
        return []

    monkeypatch.setattr(observing, "observe_video", erased_meanwhile)
    service.http.get(f"/v1/videos/{found['id']}/observed")
    assert service.state.observations._found == {}


def test_what_was_erased_is_in_no_file_of_the_data_folder(service: Service, video: Path) -> None:
    secret = "does the secret person smile"
    found = service.http.post("/v1/videos", content=video.read_bytes()).json()
    body = {"video_id": found["id"], "question": secret, "answers": ["yes", "no"]}
    made = service.http.post("/v1/analyses", json=body).json()
    service.worked()

    def holding(word: bytes) -> list[str]:
        folder = Path(service.folder.name)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if word in path.read_bytes()]

    assert holding(secret.encode()), "SQLite keeps what changed in a file beside the database"
    assert service.http.delete(f"/v1/analyses/{made['id']}").status_code == 204
    assert holding(secret.encode()) == []
    assert service.http.delete(f"/v1/videos/{found['id']}").status_code == 204
    assert holding(found["id"].encode()) == []
    assert holding(video.read_bytes()[:4096]) == []


def test_a_temporary_folder_goes_with_its_process(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, link, file = tmp_path / "t-left", tmp_path / "t-link", tmp_path / "t-file"
    left.mkdir()
    (left / "video").write_bytes(b"somebody")
    link.symlink_to(tmp_path)
    file.write_bytes(b"")
    with temporary_folder("t-") as folder:
        assert not left.exists()
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "video").write_bytes(b"somebody")
        assert sweep_temporary("t-") == 0, "its process lives"
        assert (folder / "video").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"t-link", "t-file"}


HOLDER = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from serve.running import opened_store
from serve.settings import ServiceSettings
with opened_store(ServiceSettings()) as store:
    with store.media.incoming(100) as growing:
        growing.write(b"somebody")
        growing.finish()
        print(store.media.folder, flush=True)
        time.sleep(60)
"""


def test_without_a_data_folder_a_killed_service_leaves_nothing_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        other = Service()
        keep_house(other.state)
        assert folder.is_dir(), "its process lives"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (folder / "service.sqlite").exists()
    keep_house(other.state)
    assert not folder.exists()


def set_back(store: Store, seconds: float) -> None:
    """Set the clock of the host back, as SQLite sees it."""
    days = seconds / DAY

    def julianday(_text: str) -> float:
        return time.time() / DAY + 2440587.5 - days

    @event.listens_for(store.database._engine, "connect")
    def shift(connection: sqlite3.Connection, _record: Any) -> None:
        connection.create_function("julianday", 1, julianday)

    store.database._engine.dispose()


@pytest.mark.parametrize("back_s", [7200.0, -7200.0])
def test_a_clock_that_is_set_back_or_forth_holds_nothing_up(tmp_path: Path, back_s: float) -> None:
    lease_s = 0.4
    before = Store.open(tmp_path)
    asked = before.analyses.ask("", kept(before), TASK, MODEL)
    other = before.analyses.ask("", kept(before), TASK, MODEL)
    taken = before.queue.take(MODEL, lease_s)
    assert taken is not None
    put_back = before.queue.take(MODEL, lease_s)
    assert put_back is not None
    before.queue.put_back(put_back, 0.1)
    before.close()  # kill -9; the lease is held and the other waits for a time of the old clock
    after = Store.open(tmp_path)
    set_back(after, back_s)
    begun, found = time.monotonic(), set()
    while len(found) < 2:
        lease = after.queue.take(MODEL, 60)
        if lease is not None:
            found.add(lease.analysis_id)
            if lease.analysis_id == taken.analysis_id:
                assert time.monotonic() - begun >= lease_s, "its worker was given its time"
        assert time.monotonic() - begun < 10
        time.sleep(0.02)
    assert found == {asked.id, other.id}
    assert not after.queue.beat(taken)
    after.close()


def test_a_worker_that_beats_keeps_its_analysis_whatever_the_clock_does(tmp_path: Path) -> None:
    mine, other = Store.open(tmp_path), Store.open(tmp_path)
    mine.analyses.ask("", kept(mine), TASK, MODEL)
    lease = mine.queue.take(MODEL, 0.3)
    assert lease is not None
    set_back(other, -DAY)  # for the other host a day has passed
    begun = time.monotonic()
    while time.monotonic() - begun < 1.0:
        assert mine.queue.beat(lease)
        assert other.queue.take(MODEL, 0.3) is None
        time.sleep(0.05)


def test_what_a_clock_ahead_left_in_the_future_is_kept_no_longer_than_anything(
    store: Store,
) -> None:
    video = kept(store)
    store.analyses.ask("", video, TASK, MODEL)
    lease = store.queue.take(MODEL, 60)
    assert lease is not None
    store.queue.fail(lease, "code", "Detail.")
    aged(store, "videos", uploaded_s=-30 * DAY)
    aged(store, "analyses", finished_s=-30 * DAY)
    assert (store.videos.expire(DAY), store.analyses.expire(DAY)) == (0, 0)
    aged(store, "videos", uploaded_s=2 * DAY)
    aged(store, "analyses", finished_s=2 * DAY)
    assert (store.videos.expire(DAY), store.analyses.expire(DAY)) == (1, 1)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.rebuild)])
def test_tables_of_an_earlier_version_are_changed_with_what_is_in_them(
    kind: str, tmp_path: Path
) -> None:
    if kind == "sqlite":
        changed(f"sqlite:///{tmp_path / 'old.sqlite'}")
    else:
        with postgres_server() as server:
            changed(server.url)


def changed(url: str) -> None:
    old = Database(*engines(url))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with old.writing() as connection:
        old.lock(connection, MIGRATION_LOCK)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text(
            "INSERT INTO videos (id, owner, sha256, facts, segments, created_s) "
            "VALUES ('v', 'o', 's', '{}', 1, 1234.5)"
        ))  # fmt: skip
        connection.execute(text(
            "INSERT INTO analyses (id, owner, video_id, request_hash, model, task, status, done, "
            "total, created_s, not_before_s, lease, lease_until_s, stalls) VALUES "
            "('a', 'o', 'v', 'h', 'm', 't', 'running', 1, 2, 1.5, 0, 'l', 99999999999, 3)"
        ))  # fmt: skip
    old.close()
    new = Database.open(url)
    with new.reading() as connection:
        video = connection.execute(text("SELECT created_s, uploaded_s FROM videos")).one()
        assert tuple(video) == (1234.5, 1234.5)
        row = connection.execute(text("SELECT lease, beats, lease_s, stalls FROM analyses")).one()
        assert tuple(row) == ("l", 0, 15.0, 3)
    with new.writing() as connection:
        for table in metadata.tables.values():
            connection.execute(table.delete())
    new.close()


def engines(url: str) -> tuple[Any, Any]:
    from serve.store.connection import connected

    return connected(url), connected(url, probe=True)

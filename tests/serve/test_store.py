"""The store on SQLite and on PostgreSQL: migrations, leases, results written once, retention."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from stored import MODEL, TASK, answer, kept

from mllm_affect.errors import UserError
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoVerdict
from serve.store import Store
from serve.store.database import MIGRATIONS, Database, newest_version
from serve.store.media_folder import MediaFolder
from serve.store.queue import MOST_STALLS, LeaseLostError
from serve.store.tables import metadata


def test_the_newest_version_is_the_head_of_the_changes_and_is_what_tables_have(
    store: Store,
) -> None:
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert newest_version() == head == store.database._version()


def test_a_database_without_tables_gets_them_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    opened = Database.open(url)
    with opened.writing() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        for table in reversed(metadata.sorted_tables):
            table.drop(connection)
    opened.close()
    again = Database.open(url)
    with again.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM videos")) == 0
    again.close()


@pytest.fixture(scope="module")
def verdict(video: Path) -> VideoVerdict:
    from mllm_affect.engine.echo import EchoEngine

    return answer_video(video, TASK, EchoEngine(), trusted=True).verdict()


def test_migrations_make_the_tables(store: Store) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_what_was_stored_comes_back_exactly(store: Store, verdict: VideoVerdict) -> None:
    video = kept(store)
    asked = store.analyses.ask("", video, TASK, MODEL)
    lease = store.queue.take(MODEL, 60)
    assert lease is not None
    assert (lease.analysis_id, lease.task) == (asked.id, TASK)
    for index in (0, 1):
        store.queue.add(lease, answer(index), index + 1)
    store.queue.succeed(lease, verdict, 2)
    assert store.results.all(asked.id) == [answer(0), answer(1)]
    found = store.analyses.get("", asked.id)
    assert found is not None
    assert (found.status, found.answer, found.done) == ("succeeded", verdict, 2)


def test_one_analysis_goes_to_one_worker(store: Store) -> None:
    video = kept(store)
    made = {store.analyses.ask("", video, TASK, MODEL).id for _ in range(12)}
    taken: list[str] = []

    def take() -> None:
        while (lease := store.queue.take(MODEL, 60)) is not None:
            taken.append(lease.analysis_id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A row that another is taking at this moment is skipped; it waits for the next look.
    take()
    assert sorted(taken) == sorted(made)
    assert store.queue.take("another model", 60) is None


def test_a_silent_worker_loses_its_analysis_and_can_write_no_more(
    store: Store, verdict: VideoVerdict
) -> None:
    asked = store.analyses.ask("", kept(store), TASK, MODEL)
    first = store.queue.take(MODEL, -1)
    second = store.queue.take(MODEL, 60)
    assert first is not None
    assert second is not None
    assert second.analysis_id == first.analysis_id == asked.id
    assert not store.queue.beat(first)
    assert store.queue.beat(second)
    for write in (
        lambda: store.queue.add(first, answer(0), 1),
        lambda: store.queue.succeed(first, verdict, 2),
        lambda: store.queue.fail(first, "x", "y"),
    ):
        with pytest.raises(LeaseLostError):
            write()
    store.queue.put_back(first, 0)
    store.queue.add(second, answer(0), 1)
    store.queue.succeed(second, verdict, 1)
    with pytest.raises(LeaseLostError):
        store.queue.fail(second, "late", "Too late.")
    found = store.analyses.get("", asked.id)
    assert found is not None
    assert (found.status, found.error_code) == ("succeeded", None)


def test_a_video_that_ends_every_worker_is_given_up(store: Store) -> None:
    asked = store.analyses.ask("", kept(store), TASK, MODEL)
    for _ in range(MOST_STALLS + 1):
        assert store.queue.take(MODEL, -1) is not None
    assert store.queue.take(MODEL, -1) is None
    found = store.analyses.get("", asked.id)
    assert found is not None
    assert (found.status, found.error_code) == ("failed", "worker_died")


def test_cancelling_and_erasing_take_the_lease_away(store: Store) -> None:
    video = kept(store)
    for stop in (store.analyses.cancel, store.analyses.erase):
        asked = store.analyses.ask("", video, TASK, MODEL)
        lease = store.queue.take(MODEL, 60)
        assert lease is not None
        stop("", asked.id)
        with pytest.raises(LeaseLostError):
            store.queue.add(lease, answer(0), 1)
    assert store.results.all(asked.id) == []


def test_media_goes_when_its_time_is_over_unless_it_is_needed(store: Store) -> None:
    needed, idle = kept(store, content=b"needed"), kept(store, content=b"idle")
    shared = kept(store, owner="other", content=b"idle")
    store.analyses.ask("", needed, TASK, MODEL)
    assert store.videos.expire(3600) == 0
    with store.database.writing() as connection:
        connection.execute(text("UPDATE videos SET uploaded_s = 0 WHERE owner = ''"))
    assert store.videos.expire(3600) == 1
    assert store.videos.get("", idle.id) is None
    assert needed.source.path.exists()
    assert shared.source.path.exists(), "another owner has the same bytes"
    assert store.videos.erase("other", shared.id)
    assert not shared.source.path.exists()


def test_results_go_when_their_time_is_over(store: Store) -> None:
    asked = store.analyses.ask("", kept(store), TASK, MODEL)
    lease = store.queue.take(MODEL, 60)
    assert lease is not None
    store.queue.add(lease, answer(0), 1)
    store.queue.fail(lease, "code", "Detail.")
    assert store.analyses.expire(3600) == 0
    assert store.analyses.expire(-1) == 1
    assert store.analyses.get("", asked.id) is None
    assert store.events.after(asked.id, 0) == []


def test_what_killed_processes_left_is_swept(store: Store) -> None:
    video = kept(store)
    orphan = store.media.path("f" * 64)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"renamed, but never written down")
    (store.media.incoming_folder / "left").write_bytes(b"half")
    store.media.clips("e" * 64).mkdir()
    with store.media.incoming(100) as growing:
        growing.write(b"x")
        store.videos.sweep()
        assert growing.path.exists(), "somebody is writing it"
    assert video.source.path.exists()
    assert [*store.media.incoming_folder.iterdir(), *store.media.clips_folder.iterdir()] == []
    assert not orphan.exists()


def test_a_queue_that_is_full_says_so(store: Store) -> None:
    video = kept(store)
    store.analyses.ask("", video, TASK, MODEL, most_waiting=1)
    with pytest.raises(UserError) as caught:
        store.analyses.ask("", video, TASK, MODEL, most_waiting=1)
    assert caught.value.code == "queue_full"


@pytest.mark.parametrize("url", ["nonsense", "postgresql://secret@127.0.0.1:1/x"])
def test_a_database_that_is_none_is_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError) as caught:
        Store.open(tmp_path, url)
    assert caught.value.code == "bad_database"
    assert "secret" not in caught.value.sentence


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        Store.open(tmp_path / "file")
    assert caught.value.code == "bad_data_folder"


def test_the_data_is_for_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "data"
    for existing in (False, True):
        if existing:  # as an earlier version left it
            for path in (folder, *folder.iterdir()):
                path.chmod(0o755 if path.is_dir() else 0o644)
        opened = Store.open(folder)
        kept(opened)
        with opened.database.writing() as connection:
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
            connection.execute(text("SELECT 1"))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert modes.pop("reserve") in (0o600, 0o644)  # it holds nothing
        files = {"service.sqlite", "service.sqlite-wal", "service.sqlite-shm"}
        assert {name for name, mode in modes.items() if mode == 0o600} == files
        assert {mode for name, mode in modes.items() if name not in files} == {0o700}
        (stored,) = opened.media.videos_folder.glob("??/*")
        assert stored.stat().st_mode & 0o777 == 0o600
        opened.close()


def test_a_folder_that_is_not_ours_to_close_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with monkeypatch.context() as patch:
        patch.setattr("serve.store.media_folder.os.geteuid", lambda: 12345)
        assert MediaFolder.open(folder).is_open_to_others()
    assert not MediaFolder.open(folder).is_open_to_others()


def test_only_progress_may_be_lost_with_the_power(tmp_path: Path) -> None:
    """SQLite's 2 is FULL: on the disk before it counts; 1 is NORMAL: with the next one that is."""
    database = Database.open(f"sqlite:///{tmp_path / 'service.sqlite3'}")

    def level(progress: bool) -> object:
        with database.writing(progress) as connection:
            return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    assert [level(progress) for progress in (False, True, False)] == [2, 1, 2]
    database.close()

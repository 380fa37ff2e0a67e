"""What the logs hold: ids, codes, types and places; never what clients sent."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from service_in_process import Service
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from mllm_affect.errors import UserError
from serve.logs import AccessLog, audit, outline, set_up_logs
from serve.store.tables import events
from serve.work.worker import Worker

SECRET = "the person said something secret"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the service would print on standard error."""
    root, hook = logging.getLogger(), threading.excepthook
    before, stream = root.handlers[:], io.StringIO()
    monkeypatch.setattr(root, "handlers", before[:])
    set_up_logs(None, stream)
    yield stream
    threading.excepthook = hook


def test_a_failing_statement_is_logged_without_its_values(
    service: Service, written: io.StringIO
) -> None:
    row = insert(events).values(id=1, analysis_id=SECRET, kind=None, data="x")
    with pytest.raises(IntegrityError) as caught, service.state.store.database.writing() as writer:
        writer.execute(row)
    assert "secret" not in str(caught.value)
    found = (caught.type, caught.value, caught.tb)
    logging.getLogger("any.library").error("Exception", exc_info=found)
    said = written.getvalue()
    assert "secret" not in said
    assert "IntegrityError" in said
    assert "test_logs.py" in said


def test_no_text_of_an_exception_is_logged_anyhow(written: io.StringIO) -> None:
    def fail() -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            others = ExceptionGroup(SECRET, [ValueError(SECRET), UserError("some_code", SECRET)])
            raise others from error

    async def forgotten() -> None:
        task = asyncio.get_running_loop().create_task(failing())
        await asyncio.sleep(0)
        del task

    async def failing() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=fail, name="a-thread")
    thread.start()
    thread.join()
    asyncio.run(forgotten())
    said = written.getvalue()
    assert "secret" not in said
    for told in ("KeyError", "led to", "UserError some_code", "ExceptionGroup", "a-thread"):
        assert told in said
    assert "Task exception was never retrieved" in said


def test_the_outline_is_finite_and_names_types() -> None:
    assert outline(ValueError(SECRET)) == "ValueError"


def test_an_analysis_that_fails_inside_is_logged_without_content(
    service: Service, video: Path, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(service.engine, "score", fail)
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    service.http.post("/v1/analyses", json={"video_id": uploaded["id"], "task": "ah"})
    Worker(service.state).work_once()
    assert "RuntimeError" in written.getvalue()
    assert "secret" not in written.getvalue()


def test_audit_lines_hold_no_text_of_the_client(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    http = TestClient(AccessLog(service.app), base_url="http://127.0.0.1")
    with caplog.at_level(logging.INFO, audit.name):
        http.get(f"/v1/videos/{SECRET}")
        http.get(f"/v1/analyses/{'0' * 32}")
    lines = [json.loads(one.message)["ids"] for one in caplog.records if one.name == audit.name]
    assert lines == [{"video_id": "not an id"}, {"analysis_id": "0" * 32}]


def test_an_audit_log_is_for_its_owner(tmp_path: Path, written: io.StringIO) -> None:
    path = tmp_path / "audit.jsonl"
    before = audit.handlers[:], audit.level, audit.propagate
    try:
        set_up_logs(path)
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        audit.handlers, audit.level, audit.propagate = before

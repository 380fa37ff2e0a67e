"""Everything of the service besides asking: health, tasks, keys, documents, settings."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from service_in_process import Service

from mllm_affect.errors import UserError
from mllm_affect.tasks.prompts import shipped_family_ids, shipped_task_ids
from serve.app import openapi_document
from serve.keys import ApiKey, read_api_keys
from serve.settings import ServiceSettings, refuse_unsafe

KEY = "correct horse battery"


def keyed(folder: Path) -> Service:
    path = folder / "key"
    path.write_text(KEY + "\n")
    return Service(ServiceSettings(keys=read_api_keys(path)))


def test_health_and_readiness(service: Service) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok"}
    assert service.http.get("/readyz").status_code == 200
    service.engine.ready = False
    assert service.http.get("/healthz").status_code == 200
    response = service.http.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "engine_away")
    assert "retry-after" in response.headers


def test_tasks_and_models(service: Service) -> None:
    tasks = service.http.get("/v1/tasks").json()
    assert [task["id"] for task in tasks] == [*shipped_task_ids(), *shipped_family_ids()]
    own = [task for task in tasks if task["id"] in shipped_task_ids()]
    assert all(task["question"] and task["prompt_hash"] and not task["questions"] for task in own)
    (model,) = service.http.get("/v1/models").json()
    assert model == {"id": "echo", "kind": "miniature", "note": "A toy."}


def test_what_does_not_exist_is_a_problem_too(service: Service) -> None:
    for response, status in (
        (service.http.get("/v1/nothing"), 404),
        (service.http.get("/v1/ask"), 405),
    ):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer  {KEY} "}, 200),
    ],
)
def test_the_key_is_asked_for(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    response = keyed(tmp_path).http.get("/v1/tasks", headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json()["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == "Bearer"


def test_without_the_key_no_body_is_read_and_health_still_answers(tmp_path: Path) -> None:
    service = keyed(tmp_path)
    http = service.http
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/ask", "headers": []}
    asyncio.run(http.app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 401
    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 200


def test_the_document_names_operations_and_problems() -> None:
    document = openapi_document()
    operations = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert operations == {
        "ask", "upload_video", "get_video", "get_video_content", "erase_video",
        "create_analysis", "list_analyses", "get_analysis", "list_segments", "follow_analysis",
        "cancel_analysis", "erase_analysis", "export_analysis", "observe_video",
        "list_tasks", "list_models", "get_limits", "healthz", "readyz", "metrics",
    }  # fmt: skip
    responses = document["paths"]["/v1/ask"]["post"]["responses"]
    assert {"200", "401", "404", "413", "415", "422", "503"} <= set(responses)
    assert "Problem" in document["components"]["schemas"]


def test_the_document_is_served_with_interactive_pages(service: Service) -> None:
    assert service.http.get("/openapi.json").json() == openapi_document()
    assert service.http.get("/docs").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_no_key(host: str) -> None:
    refuse_unsafe(ServiceSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_beyond_this_machine_needs_a_key(host: str) -> None:
    with pytest.raises(UserError, match="--api-key-file") as caught:
        refuse_unsafe(ServiceSettings(host=host))
    assert caught.value.code == "unsafe_bind"
    refuse_unsafe(ServiceSettings(host=host, keys=(ApiKey(sha256="0" * 64),)))


def test_keys_that_are_none(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("abc")
    for path in (short, tmp_path / "missing", tmp_path):
        with pytest.raises(UserError) as caught:
            read_api_keys(path)
        assert caught.value.code == "bad_api_key"
        assert "abc" not in caught.value.sentence

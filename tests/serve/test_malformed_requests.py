"""Requests that no honest client sends are refused as the client's fault, never as ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from service_in_process import Service

from serve.keys import ApiKey, hash_of
from serve.opened_file import OpenedFileResponse
from serve.settings import ServiceSettings

KEY = "a key for these tests alone"
HALF = "\\ud800"
VIDEO = "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        f'{{"video_id": "{VIDEO}", "question": "{HALF}"}}',
        f'{{"video_id": "{VIDEO}", "question": "Smile?", "answers": ["{HALF}", "no"]}}',
        f'{{"video_id": "{VIDEO}", "task": "{HALF}"}}',
        f'{{"video_id": "{VIDEO}", "task": "ah_context", "asked": "{HALF}"}}',
        f'{{"video_id": "{VIDEO}", "task": "ah_context", "transcript": "{HALF}"}}',
        f'{{"video_id": "{VIDEO}", "task": "ah", "{HALF}": 1}}',
        f'{{"{HALF}": 1}}',
        f'"{HALF}"',
        '{"a":' * 50_000,
    ],
)
def test_half_a_character_in_json_is_a_bad_request(service: Service, text: str) -> None:
    headers = {"content-type": "application/json"}
    response = service.http.post("/v1/analyses", content=text.encode(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "bad_request")


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(
    "host", ["[bad", "[:::]", "[v1.x]", "a b", "a/b", "127.0.0.1:x", "127.0.0.1@evil", "a?b", "é"]
)
def test_a_host_that_is_none_is_a_bad_request(keyed: bool, host: str) -> None:
    keys = (ApiKey(sha256=hash_of(KEY)),) if keyed else ()
    http = Service(ServiceSettings(keys=keys)).http
    headers = {"host": host.encode("latin-1"), "authorization": f"Bearer {KEY}".encode()}
    # A path that ends with a slash is redirected, to an address that is made from the host.
    for path in ("/v1/tasks", "/v1/tasks/", "/healthz", "/healthz/", "/docs", "/"):
        response = http.get(path, headers=headers, follow_redirects=False)
        assert (response.status_code, response.json()["code"]) == (400, "bad_host"), path


@pytest.mark.parametrize("origin", ["http://[bad", "http://", "[", "", "http://127.0.0.1:8000\xe9"])
def test_an_origin_that_is_none_is_another_origin(service: Service, origin: str) -> None:
    response = service.http.get("/v1/tasks", headers={"origin": origin.encode("latin-1")})
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("span", [None, "bytes=0-3", "bytes=0-1,4-5"])
def test_a_video_that_is_erased_while_it_is_sent_is_sent_whole_or_not_at_all(
    service: Service, video: Path, monkeypatch: pytest.MonkeyPatch, span: str | None
) -> None:
    found: dict[str, Any] = service.http.post("/v1/videos", content=video.read_bytes()).json()
    url, headers = f"/v1/videos/{found['id']}/content", {"range": span} if span else {}
    whole = service.http.get(url, headers=headers)
    stored = service.state.store.media.path(found["sha256"])
    send = OpenedFileResponse.__mro__[1].__call__

    async def erased_first(self: Any, *given: Any) -> None:
        stored.unlink()
        await send(self, *given)

    monkeypatch.setattr(OpenedFileResponse.__mro__[1], "__call__", erased_first)
    response = service.http.get(url, headers=headers)
    assert response.status_code == whole.status_code
    if span is None or "," not in span:  # several ranges are parted by a random word
        assert response.content == whole.content
    monkeypatch.undo()
    gone = service.http.get(url, headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_video")


def test_a_problem_quotes_only_what_can_be_sent(service: Service) -> None:
    from starlette.requests import Request

    from serve.problems import problem

    made = problem(Request({"type": "http", "headers": []}), 422, "c", "\ud800.", ["\udfff"])
    assert json.loads(bytes(made.body))["fields"] == ["?"]

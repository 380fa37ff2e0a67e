"""The door: keys, scopes, rates, owners, origins; and what the logs hold."""

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from service_in_process import Service
from typer.testing import CliRunner

from mllm_affect.cli.app import app as cli
from mllm_affect.errors import UserError
from serve.keys import ALL_SCOPES, GUESSABLE, ApiKey, hash_of, read_api_keys
from serve.logs import AccessLog, audit
from serve.settings import ServiceSettings

QUESTION = "Does the secret person smile?"


def key_of(name: str, **given: Any) -> ApiKey:
    return ApiKey(name=name, sha256=hash_of(f"the long key of {name}"), **given)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer the long key of {name}"}


@pytest.fixture
def keyed() -> Service:
    keys = (
        key_of("one"),
        key_of("two"),
        key_of("reader", scopes={"read"}),
        key_of("slow", requests_per_minute=2),
    )
    return Service(ServiceSettings(keys=keys))


def test_what_one_owner_has_another_does_not_see(keyed: Service, video: Path) -> None:
    content = video.read_bytes()
    mine = keyed.http.post("/v1/videos", content=content, headers=bearer("one")).json()
    theirs = keyed.http.post("/v1/videos", content=content, headers=bearer("two")).json()
    assert mine["id"] != theirs["id"]
    asked = {"video_id": mine["id"], "task": "ah"}
    made = keyed.http.post("/v1/analyses", json=asked, headers=bearer("one")).json()
    url = f"/v1/analyses/{made['id']}"
    for method, path in (
        ("GET", f"/v1/videos/{mine['id']}"), ("GET", f"/v1/videos/{mine['id']}/content"),
        ("DELETE", f"/v1/videos/{mine['id']}"), ("GET", url), ("GET", f"{url}/segments"),
        ("GET", f"{url}/events"), ("POST", f"{url}/cancel"), ("DELETE", url),
    ):  # fmt: skip
        assert keyed.http.request(method, path, headers=bearer("two")).status_code == 404, path
    response = keyed.http.post("/v1/analyses", json=asked, headers=bearer("two"))
    assert response.json()["code"] == "unknown_video"
    assert keyed.http.get("/v1/analyses", headers=bearer("two")).json()["items"] == []
    gone = keyed.http.delete(f"/v1/videos/{theirs['id']}", headers=bearer("two"))
    assert gone.status_code == 204
    kept = keyed.http.get(f"/v1/videos/{mine['id']}/content", headers=bearer("one"))
    assert kept.content == content


def test_scopes(keyed: Service) -> None:
    assert keyed.http.get("/v1/tasks", headers=bearer("reader")).status_code == 200
    for method, path in (
        ("POST", "/v1/videos"), ("DELETE", f"/v1/analyses/{'0' * 32}"), ("GET", "/metrics"),
    ):  # fmt: skip
        response = keyed.http.request(method, path, headers=bearer("reader"))
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert keyed.http.get("/metrics").status_code == 401


def test_rates(keyed: Service) -> None:
    answers = [keyed.http.get("/v1/tasks", headers=bearer("slow")) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 31
    assert keyed.http.get("/v1/tasks", headers=bearer("one")).status_code == 200


def test_a_list_of_keys_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    digest = hashlib.sha256(b"key of clinic").hexdigest()
    path.write_text(f"- name: clinic\n  sha256: {digest}\n  scopes: [read]\n")
    (key,) = read_api_keys(path)
    assert (key.name, key.scopes) == ("clinic", frozenset({"read"}))
    assert digest not in repr(key)
    for text in ("- name: a\n", f"- sha256: {digest}\n- sha256: {digest}\n", "- [\n"):
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            read_api_keys(path)
        assert caught.value.code == "bad_api_key"


DIGEST = hash_of("the long key of clinic")


@pytest.mark.parametrize(
    "text",
    [
        f"# keys of the clinic\n- name: clinic\n  sha256: {DIGEST}\n",
        f"\n\n  # first\n\n- name: clinic\n  sha256: {DIGEST}\n# last\n",
        f"\ufeff- name: clinic\n  sha256: {DIGEST}\n",
        f"---\n- name: clinic\n  sha256: {DIGEST}\n",
        f"[{{name: clinic, sha256: {DIGEST}}}]\n",
        f"-\n  name: clinic\n  sha256: {DIGEST}\n",
    ],
)
def test_a_list_may_begin_as_any_list_does(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    (key,) = read_api_keys(path)
    assert (key.name, key.sha256) == ("clinic", DIGEST)


def test_a_bare_key_may_have_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("# of the clinic\nthe long key of clinic\n")
    (key,) = read_api_keys(path)
    assert key.sha256 == DIGEST


@pytest.mark.parametrize("text", ["", "# only a comment\n", "[]\n", "two lines\nof what?\n"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_api_keys(path)
    assert caught.value.code == "bad_api_key"


@pytest.mark.parametrize("word", GUESSABLE)
def test_a_hash_that_anybody_can_guess_is_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "keys.yaml"
    digest = hashlib.sha256(word.encode()).hexdigest()
    path.write_text(f"- name: clinic\n  sha256: {digest}\n")
    with pytest.raises(UserError, match="mllm-affect key") as caught:
        read_api_keys(path)
    assert caught.value.code == "bad_api_key"


def test_the_documented_example_opens_nothing(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/security.md"
    digests = re.findall(r"\b[0-9a-f]{64}\b", page.read_text())
    for number, digest in enumerate(digests):
        (tmp_path / "keys").write_text(f"- name: k{number}\n  sha256: {digest}\n")
        with pytest.raises(UserError):
            read_api_keys(tmp_path / "keys")


def test_no_header_and_short_keys_open_nothing_whatever_the_file_holds() -> None:
    keys = (
        ApiKey(name="a", sha256=hash_of("")), ApiKey(name="b", sha256=hash_of("hunter2")),
    )  # fmt: skip
    http = Service(ServiceSettings(keys=keys)).http
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Bearer hunter2"}):
        assert http.get("/v1/tasks", headers=headers).status_code == 401


def test_the_command_makes_a_key_and_keeps_its_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    runner = CliRunner()
    words = ["key", "clinic", "--file", str(path)]
    first = runner.invoke(cli, [*words, "--scope", "read", "--requests-per-minute", "9", "--json"])
    assert first.exit_code == 0, first.output
    made = json.loads(first.output)["key"]
    assert len(made) >= 40
    assert made not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# mine\n" + path.read_text().rstrip("\n"))
    second = runner.invoke(cli, ["key", "other", "--file", str(path)])
    assert second.exit_code == 0
    keys = read_api_keys(path)
    assert [(key.name, key.scopes, key.requests_per_minute) for key in keys] == [
        ("clinic", {"read"}, 9), ("other", ALL_SCOPES, None),
    ]  # fmt: skip
    assert path.read_text().startswith("# mine\n")
    http = Service(ServiceSettings(keys=keys)).http
    assert http.get("/v1/tasks", headers={"authorization": f"Bearer {made}"}).status_code == 200
    before = path.read_bytes()
    for name in ("clinic", "a name", ""):
        again = runner.invoke(cli, ["key", name, "--file", str(path), "--json"])
        assert (again.exit_code, json.loads(again.output)["error"]["code"]) == (2, "bad_api_key")
    assert path.read_bytes() == before
    path.write_text("the long key of clinic\n")
    assert runner.invoke(cli, ["key", "x", "--file", str(path)]).exit_code == 2
    assert path.read_text() == "the long key of clinic\n"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "rebound.example"}, 403),
        ({"host": "127.0.0.1.rebound.example"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_without_keys_only_this_machine_and_its_own_page_may_ask(
    service: Service, headers: dict[str, str], status: int
) -> None:
    assert service.http.get("/v1/tasks", headers=headers).status_code == status


def test_every_answer_has_safe_headers(service: Service) -> None:
    for path in ("/v1/tasks", "/healthz", "/v1/nothing", "/openapi.json"):
        headers = service.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]
    assert service.http.get("/v1/tasks").headers["cache-control"] == "no-store"


def test_audit_lines_say_who_did_what_and_nothing_of_it(
    keyed: Service, video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    http = TestClient(AccessLog(keyed.app), base_url="http://127.0.0.1")
    with caplog.at_level(logging.INFO, audit.name):
        found = http.post("/v1/videos", content=video.read_bytes(), headers=bearer("one")).json()
        body = {"video_id": found["id"], "question": QUESTION, "answers": ["yes", "no"]}
        http.post("/v1/analyses", json=body, headers=bearer("one"))
        http.get(f"/v1/videos/{found['id']}?secret=secret", headers=bearer("two"))
    lines = [json.loads(one.message) for one in caplog.records if one.name == audit.name]
    assert [(one["owner"], one["operation"], one["status"]) for one in lines] == [
        ("one", "upload_video", 201), ("one", "create_analysis", 202), ("two", "get_video", 404),
    ]  # fmt: skip
    assert lines[2]["ids"] == {"video_id": found["id"]}
    assert "secret" not in caplog.text
    assert "key of" not in caplog.text

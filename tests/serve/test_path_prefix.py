"""Behind a reverse proxy that offers the service below /affect, whether it removes that or not."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from served_in_thread import served_in_thread
from service_in_process import Service

from mllm_affect.client import ServiceClient
from mllm_affect.errors import UserError
from serve.keys import ApiKey, hash_of
from serve.paths import checked_prefix, route_path
from serve.settings import ServiceSettings
from tests.reverse_proxy import reverse_proxy

PREFIX = "/affect"
KEY = "a key of the clinic"


@pytest.fixture(scope="module", params=[True, False], ids=["removed", "kept"])
def proxied(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the service behind a proxy, without a slash at its end."""
    service = Service(ServiceSettings(root_path=PREFIX))
    with (
        served_in_thread(service) as url,
        reverse_proxy(url, PREFIX, removes_prefix=request.param) as proxy,
    ):
        yield f"{proxy}{PREFIX}"


def test_the_page_and_all_that_it_names_are_found(proxied: str) -> None:
    page = httpx.get(f"{proxied}/")
    assert page.status_code == 200
    named = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert len(named) > 5
    for name in named:
        assert httpx.get(urljoin(f"{proxied}/", name)).status_code == 200, name
    script = f"{proxied}/page/main.js"
    for name in re.findall(r'from "([^"]+)"', httpx.get(script).text):
        assert httpx.get(urljoin(script, name)).status_code == 200, name


def test_the_interactive_documentation_is_found(proxied: str) -> None:
    shown = httpx.get(f"{proxied}/docs")
    assert "unsafe-inline" in shown.headers["content-security-policy"], "the viewer may start"
    named = re.findall(r"""(?:href|src)="([^"]+)"|url: '([^']+)'""", shown.text)
    assert len(named) >= 3
    for one, other in named:
        address = urljoin(f"{proxied}/docs", one or other)
        assert address.startswith(proxied)
        assert httpx.get(address).status_code == 200, address
    document = httpx.get(f"{proxied}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]


def test_an_analysis_from_upload_to_erasure(proxied: str, video: Path) -> None:
    uploaded = httpx.post(f"{proxied}/v1/videos", content=video.read_bytes(), timeout=30)
    address = urljoin(proxied, uploaded.headers["location"])
    assert httpx.get(address).json()["id"] == uploaded.json()["id"]
    part = httpx.get(f"{address}/content", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, video.read_bytes()[:10])
    for number in range(2):
        asked: Any = {"video_id": uploaded.json()["id"], "question": f"{number}?"}
        made = httpx.post(f"{proxied}/v1/analyses", json={**asked, "answers": ["yes", "no"]})
        analysis = urljoin(proxied, made.headers["location"])
        with httpx.stream("GET", f"{analysis}/events", timeout=30) as events:
            assert "event: succeeded" in "".join(events.iter_text())
        assert httpx.get(analysis).json()["status"] == "succeeded"
    first = httpx.get(f"{proxied}/v1/analyses?limit=1").json()
    second = httpx.get(f"{proxied}/v1/analyses?limit=1&before={first['next']}").json()
    assert first["items"][0]["id"] != second["items"][0]["id"]
    with ServiceClient(proxied) as client:
        assert client.upload(video).id == uploaded.json()["id"]
        client.erase_video(uploaded.json()["id"])
    assert httpx.get(address).status_code == 404


def test_an_address_with_a_slash_too_many_leads_below_the_prefix(proxied: str) -> None:
    found = httpx.get(f"{proxied}/v1/limits/")
    assert found.status_code == 307
    assert found.headers["location"] == f"{proxied}/v1/limits"
    assert httpx.get(found.headers["location"]).status_code == 200


@pytest.mark.parametrize("path", ["/v1/limits", "/affect/v1/limits", "/metrics", "/affect/metrics"])
def test_keys_are_asked_for_on_both_kinds_of_path(path: str) -> None:
    keys = (ApiKey(name="clinic", sha256=hash_of(KEY)),)
    service = Service(ServiceSettings(root_path=PREFIX, keys=keys))
    refused = service.http.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    given = {"Authorization": f"Bearer {KEY}"}
    assert service.http.get(path, headers=given).status_code == 200
    plain = Service(ServiceSettings(keys=keys))
    assert plain.http.get("/affect/v1/limits", headers=given).status_code == 404


@pytest.mark.parametrize("path", ["/v1/videos", "/affect/v1/videos"])
def test_bounds_and_headers_hold_on_both_kinds_of_path(path: str) -> None:
    service = Service(ServiceSettings(root_path=PREFIX, max_upload_bytes=1 << 20))
    refused = service.http.post(path, content=b"\0" * (3 << 20))
    assert (refused.status_code, refused.json()["code"]) == (413, "file_too_large")
    assert refused.headers["cache-control"] == "no-store"
    other = service.http.get(path.replace("videos", "limits"), headers={"Origin": "http://else"})
    assert other.status_code == 403, "pages of other origins"


def test_audit_lines_are_written_on_both_kinds_of_path(tmp_path: Path) -> None:
    from serve.logs import audit, set_up_logs

    log = tmp_path / "audit"
    before = audit.handlers[:]
    set_up_logs(log)
    try:
        service = Service(ServiceSettings(root_path=PREFIX))
        with served_in_thread(service) as url:
            for path in ("/v1/limits", "/affect/v1/limits", "/affect/healthz"):
                assert httpx.get(f"{url}{path}").status_code == 200
    finally:
        for handler in set(audit.handlers) - set(before):
            audit.removeHandler(handler)
            handler.close()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["operation"] for line in lines] == ["get_limits", "get_limits"]


def test_the_page_works_below_a_prefix_that_the_service_does_not_know(video: Path) -> None:
    """Its addresses are relative."""
    with served_in_thread(Service()) as url, reverse_proxy(url, PREFIX, True) as proxy:
        page = httpx.get(f"{proxy}{PREFIX}/")
        for name in re.findall(r'(?:href|src)="([^"#]+)"', page.text):
            assert httpx.get(urljoin(f"{proxy}{PREFIX}/", name)).status_code == 200, name


@pytest.mark.parametrize(("given", "kept"), [("/affect/", "/affect"), ("/", ""), ("", "")])
def test_a_slash_at_the_end_of_the_prefix_is_no_matter(given: str, kept: str) -> None:
    assert checked_prefix(given) == kept


@pytest.mark.parametrize(
    "given",
    ["affect", "//affect", "/a//b", "/../x", "/a b", "/é", "/v1", "/docs/x", "/a?b", "/a%20"],
)
def test_a_prefix_that_cannot_be_used_is_refused(given: str) -> None:
    with pytest.raises(UserError) as told:
        checked_prefix(given)
    assert told.value.code == "bad_root_path"


@pytest.mark.parametrize(
    ("path", "route"),
    [("/affect/v1/x", "/v1/x"), ("/v1/x", "/v1/x"), ("/affectv1", "/affectv1"), ("/affect", "")],
)
def test_the_prefix_is_told_from_what_only_begins_alike(path: str, route: str) -> None:
    assert route_path({"path": path, "root_path": PREFIX}) == route


# ---- HEAD ----


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/healthz", "/readyz"])
def test_head_is_answered_without_a_body(proxied: str, path: str) -> None:
    found, same = httpx.head(f"{proxied}{path}"), httpx.get(f"{proxied}{path}")
    assert (found.status_code, found.content) == (200, b"")
    assert found.headers["content-type"] == same.headers["content-type"]
    assert found.headers["content-length"] == str(len(same.content))


def test_head_of_a_video_tells_its_length_and_that_ranges_are_served(video: Path) -> None:
    service = Service()
    with served_in_thread(service) as url:
        uploaded = httpx.post(f"{url}/v1/videos", content=video.read_bytes(), timeout=30).json()
        found = httpx.head(f"{url}/v1/videos/{uploaded['id']}/content")
        assert (found.status_code, found.content) == (200, b"")
        assert found.headers["content-length"] == str(video.stat().st_size)
        assert found.headers["accept-ranges"] == "bytes"
        assert (
            httpx.head(f"{url}/v1/videos/{hashlib.md5(b'').hexdigest()}/content").status_code == 404
        )
    service.engine.ready = False
    with served_in_thread(service) as url:
        assert httpx.head(f"{url}/readyz").status_code == 503

"""Bodies that are no video are bounded, and neither their size nor their faults hold up others."""

import json
import threading
import time
from typing import Any

import httpx
import pytest
from served_in_thread import served_in_thread
from service_in_process import Service

MIB = 1 << 20
VIDEO_ID = "0" * 32

HOSTILE: dict[str, bytes] = {
    "many fields": b"{%s}" % b",".join(b'"%x":0' % n for n in range(105_000)),
    "many answers": b'{"answers":[%s]}' % b",".join([b"1"] * 500_000),
    "many objects": b'{"answers":[%s]}' % b",".join([b"{}"] * 340_000),
    "deep": b"[" * (MIB - 1),
    "a long number": b'{"question":%s}' % (b"9" * (MIB - 20)),
    "a long name": b'{"%s":0}' % (b"x" * (MIB - 10)),
    "odd names": json.dumps({f"\n{n}": 0 for n in range(30)}).encode(),
    "no object": b"[]",
    "no JSON": b"\xff",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_faults_are_told_in_bounded_number_and_length(service: Service, kind: str) -> None:
    assert len(HOSTILE[kind]) <= MIB
    headers = {"content-type": "application/json"}
    response = service.http.post("/v1/analyses", content=HOSTILE[kind], headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "bad_request")
    assert len(response.content) < 3_000
    assert len(response.json()["fields"]) <= 10
    assert all(field.isprintable() for field in response.json()["fields"])


@pytest.mark.parametrize("stated", [True, False])
def test_json_has_a_bound_of_its_own(service: Service, stated: bool) -> None:
    body = b'{"question": "%s"}' % (b"x" * MIB)
    headers = {"content-type": "application/json"}
    content: Any = body if stated else iter([body[:100], body[100:]])
    response = service.http.post("/v1/analyses", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert "1024 KiB" in response.json()["detail"]


def test_other_bodies_are_bounded_as_well(service: Service) -> None:
    for method, path in (("DELETE", f"/v1/videos/{VIDEO_ID}"), ("POST", "/v1/nothing")):
        response = service.http.request(method, path, content=b"x" * (MIB + 1))
        assert response.status_code == 413, path


def test_what_the_interface_takes_is_still_taken(service: Service) -> None:
    answers = [f"answer {n}" for n in range(64)]
    body = {"video_id": VIDEO_ID, "question": "Why?", "answers": answers}
    assert service.http.post("/v1/analyses", json=body).json()["code"] == "unknown_video"
    more = {**body, "answers": [*answers, "one more"]}
    response = service.http.post("/v1/analyses", json=more)
    assert (response.status_code, response.json()["fields"]) == (422, ["answers"])
    long = {**body, "answers": ["x" * 201, "y"]}
    assert service.http.post("/v1/analyses", json=long).json()["code"] == "bad_answers"
    text = json.dumps(body)
    for kind, code in (
        ("application/problem+json", "unknown_video"),
        ("text/plain", "bad_request"),
    ):
        headers = {"content-type": kind}
        response = service.http.post("/v1/analyses", content=text, headers=headers)
        assert response.json()["code"] == code


def test_health_is_answered_meanwhile() -> None:
    """Each of these held the event loop up for half a second to minutes when parsed there."""
    with served_in_thread(Service()) as url:
        over, sent = threading.Event(), 0

        def attack() -> None:
            nonlocal sent
            headers = {"content-type": "application/json"}
            while not over.is_set():
                for content in (HOSTILE["many fields"], HOSTILE["many answers"]):
                    httpx.post(f"{url}/v1/analyses", content=content, headers=headers, timeout=30)
                    sent += 1

        threads = [threading.Thread(target=attack) for _ in range(4)]
        for thread in threads:
            thread.start()
        waits: list[float] = []
        with httpx.Client(timeout=10) as client:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                begun = time.monotonic()
                assert client.get(f"{url}/healthz").status_code == 200
                waits.append(time.monotonic() - begun)
                time.sleep(0.02)
        over.set()
        for thread in threads:
            thread.join()
    assert sent > 8
    assert sorted(waits)[len(waits) // 2] < 0.25
    assert max(waits) < 2.0

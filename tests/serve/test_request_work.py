"""Asks share decoders, never hold up what only reads, and end when nobody waits for them."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from gated_engine import GatedEngine
from served_in_thread import served_in_thread
from service_in_process import Service

from mllm_affect.media.isolation import decoding_process
from mllm_affect.stopping import Stop
from serve import observing
from serve.fair_queue import FairQueue, QueueLimits
from serve.keys import ApiKey
from serve.request_work import RequestWork
from serve.settings import ServiceSettings

SOON_S = 5.0


def until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def keyed(*names: str) -> tuple[dict[str, dict[str, str]], tuple[ApiKey, ...]]:
    """Headers and keys by name."""
    texts = {name: f"the key of {name} alone" for name in names}
    keys = tuple(
        ApiKey(name=name, sha256=hashlib.sha256(text.encode()).hexdigest())
        for name, text in texts.items()
    )
    return {name: {"Authorization": f"Bearer {text}"} for name, text in texts.items()}, keys


def ask(url: str, video: Path, **given: Any) -> httpx.Response:
    files, data = {"video": ("v.mp4", video.read_bytes())}, {"task": "ah"}
    return httpx.post(f"{url}/v1/ask", files=files, data=data, timeout=60, **given)


def test_many_asks_decode_a_few_at_a_time(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, now, lock = 0, 0, threading.Lock()

    class Counted(decoding_process.DecodingProcess):
        def __init__(self, *given: Any) -> None:
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)
            self._counts = True
            super().__init__(*given)

        def end(self) -> None:
            nonlocal now
            super().end()
            with lock:
                now -= self._counts
                self._counts = False

    monkeypatch.setattr("mllm_affect.media.isolation.isolated_video.DecodingProcess", Counted)
    with (
        served_in_thread(Service(ServiceSettings(decoders_at_once=2))) as url,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _n: ask(url, video), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert most <= 2
    assert now == 0


def test_health_and_reading_are_answered_while_asks_wait(video: Path) -> None:
    engine = GatedEngine()
    service = Service(engine=engine)
    count = 20
    with served_in_thread(service) as url, ThreadPoolExecutor(count) as pool:
        uploaded = httpx.post(f"{url}/v1/videos", content=video.read_bytes(), timeout=30).json()
        asks = [pool.submit(ask, url, video) for _ in range(count)]
        try:
            assert engine.asked.wait(30)
            until(lambda: service.state.work.working.waiting >= 2)
            for path in ("/healthz", "/readyz", "/v1/limits", f"/v1/videos/{uploaded['id']}"):
                begun = time.monotonic()
                assert httpx.get(f"{url}{path}", timeout=10).status_code == 200
                assert time.monotonic() - begun < 2.0, path
        finally:
            engine.open.set()
        assert {one.result().status_code for one in asks} == {200}


def test_asks_beyond_the_queue_are_told_to_come_again(service: Service, video: Path) -> None:
    service.state.work.working = FairQueue(QueueLimits(places=0, each=0, waiting=0, waiting_each=0))
    response: Any = service.ask(video, task="ah")
    assert (response.status_code, response.json()["code"]) == (503, "service_busy")
    assert int(response.headers["retry-after"]) > 0
    service.state.work.working = FairQueue(QueueLimits(places=0, each=0, waiting=9, waiting_each=0))
    response = service.ask(video, task="ah")
    assert (response.status_code, response.json()["code"]) == (429, "too_many_at_once")
    assert int(response.headers["retry-after"]) > 0


def test_one_owner_with_many_asks_leaves_room_for_others(video: Path) -> None:
    headers, keys = keyed("hostile", "honest")
    settings = ServiceSettings(keys=keys, decoders_at_once=2)
    with served_in_thread(Service(settings)) as url, ThreadPoolExecutor(16) as pool:
        hostile = [pool.submit(ask, url, video, headers=headers["hostile"]) for _ in range(16)]
        time.sleep(0.5)
        for _ in range(2):
            assert ask(url, video, headers=headers["honest"]).status_code == 200
        done = [one.result() for one in hostile]
    refused = [answer for answer in done if answer.status_code != 200]
    assert {answer.status_code for answer in refused} <= {429, 503}
    assert all("retry-after" in answer.headers for answer in refused)


def raw_ask(url: str, video: Path) -> socket.socket:
    """A whole ask on a connection of its own, whose answer nobody reads."""
    made = httpx.Request(
        "POST", f"{url}/v1/ask", files={"video": ("v.mp4", video.read_bytes())}, data={"task": "ah"}
    )
    content = made.read()
    lines = [f"{name}: {value}" for name, value in made.headers.items()]
    head = "\r\n".join(["POST /v1/ask HTTP/1.1", *lines, "", ""]).encode()
    connection = socket.create_connection((made.url.host, made.url.port or 80))
    connection.sendall(head + content)
    return connection


def test_work_ends_when_its_client_has_gone(video: Path) -> None:
    engine, before = GatedEngine(), psutil.Process().children()
    service = Service(engine=engine)
    with served_in_thread(service) as url:
        connections = [raw_ask(url, video) for _ in range(20)]
        assert engine.asked.wait(30)
        until(lambda: service.state.work.working.waiting)
        for connection in connections:
            connection.close()
        work = service.state.work
        until(lambda: work.working.held + work.working.waiting == 0, SOON_S)
        until(lambda: work.decoding.held + work.decoding.waiting == 0, SOON_S)
        assert engine.given_up.is_set()
        until(lambda: psutil.Process().children() == before, SOON_S)
        folder = Path(service.folder.name) / "incoming"
        until(lambda: not list(folder.iterdir()), SOON_S)
        engine.open.set()
        assert ask(url, video).status_code == 200


def test_looking_at_a_video_ends_when_its_client_has_gone(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Stop] = []

    def look(_source: Any, _limits: Any, *, max_seconds: float, stop: Stop) -> Any:
        looks.append(stop)
        while True:
            stop.wait(0.05)
        yield

    monkeypatch.setattr(observing, "observe_video", look)
    service = Service()
    with served_in_thread(service) as url:
        uploaded = httpx.post(f"{url}/v1/videos", content=video.read_bytes(), timeout=30).json()
        path = f"{url}/v1/videos/{uploaded['id']}/observed"
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(path, timeout=1.0)
        until(lambda: looks and looks[0].is_set, SOON_S)
        until(lambda: not service.state.observations._looking.locked(), SOON_S)


def test_what_is_still_worked_on_at_the_end_is_told_to_come_again(video: Path) -> None:
    engine = GatedEngine()
    service = Service(engine=engine)
    with served_in_thread(service) as url, ThreadPoolExecutor(3) as pool:
        asks = [pool.submit(ask, url, video) for _ in range(3)]
        assert engine.asked.wait(30)
        begun = time.monotonic()
        service.state.work.end()
        answers = [one.result() for one in asks]
    assert time.monotonic() - begun < SOON_S + 12  # the server's own end included
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(503, "service_ends")}


def test_requests_at_once_are_bounded_and_health_is_not(video: Path) -> None:
    """Of one owner, streams of events included, so that others are let in."""
    headers, keys = keyed("hostile", "honest")
    service = Service(ServiceSettings(keys=keys))
    with served_in_thread(service) as url:
        limit = next(layer for layer in layers(service) if hasattr(layer, "_each"))
        limit._each = 3
        key = headers["hostile"]
        uploaded = httpx.post(
            f"{url}/v1/videos", content=video.read_bytes(), headers=key, timeout=30
        ).json()
        service.engine.ready = False  # so that the analysis waits
        made = httpx.post(
            f"{url}/v1/analyses", json={"video_id": uploaded["id"], "task": "ah"}, headers=key
        ).json()
        events = f"{url}/v1/analyses/{made['id']}/events"
        with (
            httpx.stream("GET", events, headers=key) as one,
            httpx.stream("GET", events, headers=key) as two,
            httpx.stream("GET", events, headers=key) as three,
        ):
            assert {s.status_code for s in (one, two, three)} == {200}
            refused = httpx.get(f"{url}/v1/limits", headers=key)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
            assert "retry-after" in refused.headers
            assert httpx.get(f"{url}/v1/limits", headers=headers["honest"]).status_code == 200
            assert httpx.get(f"{url}/healthz").status_code == 200
        until(lambda: httpx.get(f"{url}/v1/limits", headers=key).status_code == 200)


def layers(service: Service) -> list[Any]:
    """The middleware of an application, outermost first."""
    found, layer = [], service.app.middleware_stack
    while layer is not None:
        found.append(layer)
        layer = getattr(layer, "_app", None) or getattr(layer, "app", None)
        if layer is service.app:
            break
    return found


def test_a_service_of_several_keys_shares_its_decoders() -> None:
    assert RequestWork(2, owners=3).decoding._limits.each == 1
    assert RequestWork(2, owners=1).decoding._limits.each == 2
    assert replace(RequestWork(4, owners=3).decoding._limits, each=0).places == 4

"""The model server is dead, hung, slow or talks nonsense: asks are refused at once, jobs wait.

A stub behind real HTTP stands in for vLLM: its failing is what is looked at.
"""

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from service_in_process import PROFILE, Service
from stub_engine import Stub, stub_engine
from vocabularies import miniature_vocabulary

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import Patience, WatchedServer
from mllm_affect.media.types import Sampling
from serve.work.worker import Worker

SAMPLING = PROFILE.sampling or Sampling()
PATIENCE = Patience(look_s=0.05, hung_s=0.5, stall_s=0.5, probe_s=0.5)


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with stub_engine() as running:
        yield running


@pytest.fixture
def service(stub: Stub) -> Iterator[Service]:
    stub.mode("well")
    client = VllmEngine(stub.url, SAMPLING.fps, "stub", "stub", vocabulary=miniature_vocabulary())
    client._http._health.timeout = 0.2
    server = WatchedServer(client, partial(warm_up, sampling=SAMPLING), PATIENCE)
    engine = BalancedEngine([server])
    engine.start()
    assert server.wait_well(20)
    yield Service(engine=engine)
    engine.close()


def refused(service: Service, video: Path) -> float:
    """Ask; return the seconds until the refusal."""
    begun = time.monotonic()
    response: Any = service.ask(video, task="ah")
    spent = time.monotonic() - begun
    assert response.status_code == 503, response.text
    assert response.json()["code"].startswith("engine_")
    assert int(response.headers["retry-after"]) <= 1
    assert "/srv" not in response.text
    return spent


@pytest.mark.parametrize("mode", ["hung", "slow", "garbled", "broken"])
def test_asks_are_refused_and_answered_again_once_the_server_is_well(
    service: Service, stub: Stub, video: Path, mode: str
) -> None:
    assert service.ask(video, task="ah").status_code == 200  # type: ignore[attr-defined]
    threading.Timer(0.01, stub.mode, [mode]).start()
    time.sleep(0.1)
    for _ in range(3):  # the first may still find out
        response: Any = service.ask(video, task="ah")
        assert response.status_code == 503
        if not service.engine.is_ready():
            break
    assert not service.engine.is_ready()
    assert refused(service, video) <= 1.0
    assert service.http.get("/readyz").status_code == 503
    stub.mode("well")
    assert service.engine.servers[0].wait_well(30)
    assert service.ask(video, task="ah").status_code == 200  # type: ignore[attr-defined]


def test_a_dead_server_is_noticed_and_its_analyses_go_on_with_the_next(
    service: Service, stub: Stub, video: Path
) -> None:
    stub.kill()
    while service.engine.is_ready():
        time.sleep(0.01)
    assert refused(service, video) <= 1.0
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    asked = {"video_id": uploaded["id"], "task": "ah"}
    made = service.http.post("/v1/analyses", json=asked).json()
    worker = Worker(service.state)
    worker.start()
    try:
        time.sleep(0.5)
        url = f"/v1/analyses/{made['id']}"
        assert service.http.get(url).json()["status"] == "queued"
        stub.start()
        deadline = time.monotonic() + 60
        while service.http.get(url).json()["status"] != "succeeded":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        worker.stop()


def test_an_unwell_server_is_passed_over(stub: Stub, video: Path) -> None:
    stub.mode("well")
    with stub_engine() as other:
        servers = [
            WatchedServer(
                VllmEngine(
                    one.url, SAMPLING.fps, "stub", "stub", vocabulary=miniature_vocabulary()
                ),
                partial(warm_up, sampling=SAMPLING),
                Patience(look_s=0.05),
            )
            for one in (stub, other)
        ]
        engine = BalancedEngine(servers)
        engine.start()
        assert all(server.wait_well(20) for server in servers)
        service = Service(engine=engine)
        other.kill()
        for _ in range(4):
            assert service.ask(video, task="ah").status_code == 200  # type: ignore[attr-defined]
        engine.close()

"""What fails because of a question ends that question; what fails because of a server waits."""

import errno
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from service_in_process import PROFILE, Service
from stub_engine import Stub, stub_engine
from vocabularies import miniature_vocabulary

from mllm_affect.engine import balanced
from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import Patience, WatchedServer
from mllm_affect.errors import EngineError
from mllm_affect.media.types import Sampling
from serve.settings import ServiceSettings
from serve.store.queue import LONGEST_ENGINE_WAIT_S, MOST_STALLS
from serve.store.storage_errors import StorageFullError
from serve.work.job import ENGINE_WAIT_S

SAMPLING = PROFILE.sampling or Sampling()


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with stub_engine() as running:
        yield running


@pytest.fixture
def service(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(balanced, "PAUSE_S", 0.02)
    client = VllmEngine(stub.url, SAMPLING.fps, "stub", "stub", vocabulary=miniature_vocabulary())
    server = WatchedServer(client, partial(warm_up, sampling=SAMPLING), Patience(look_s=0.05))
    engine = BalancedEngine([server])
    engine.start()
    assert server.wait_well(20)
    yield Service(ServiceSettings(question_s=1.0), engine=engine)
    engine.close()


def analysed(service: Service, video: Path, question: str) -> dict[str, Any]:
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    asked = {"video_id": uploaded["id"], "question": question, "answers": ["yes", "no"]}
    made = service.http.post("/v1/analyses", json=asked).json()
    service.worked()
    found: dict[str, Any] = service.http.get(f"/v1/analyses/{made['id']}").json()
    return found


@pytest.mark.parametrize(
    ("question", "code"),
    [("REFUSED?", "question_failed"), ("CUT?", "question_failed"), ("SLOW?", "question_too_slow")],
)
def test_a_question_that_the_server_fails_on_ends_and_others_are_answered(
    service: Service, video: Path, question: str, code: str
) -> None:
    """Once it was asked for ever, and others got 503 meanwhile."""
    found = analysed(service, video, question)
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    response: Any = service.ask(video, question=question, answers=["yes", "no"])
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert service.engine.is_ready()
    assert analysed(service, video, "Well?")["status"] == "succeeded"


def test_asks_beside_such_questions_succeed(service: Service, video: Path) -> None:
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            service.ask(video, question="REFUSED?", answers=["yes", "no"])

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        for number in range(4):
            response: Any = service.ask(video, question=f"{number}?", answers=["yes", "no"])
            assert response.status_code == 200, response.text
    finally:
        over.set()
        thread.join()


class Never:
    """An engine that is always there until it is asked something."""

    model_id = "echo"

    def is_ready(self) -> bool:
        return True

    def score(self, _inputs: Any, _answers: Any) -> Any:
        raise EngineError("engine_away", "Away.")


def test_an_analysis_that_waits_for_its_server_waits_longer_each_time_and_not_for_ever(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.work.job.ENGINE_WAIT_S", 0.0)
    monkeypatch.setattr("serve.store.queue.MOST_STALLS", 4)
    service = Service(engine=Never())
    found = analysed(service, video, "Well?")
    assert (found["status"], found["error"]["code"]) == ("failed", "engine_failed")
    events = service.http.get(f"/v1/analyses/{found['id']}/events").text
    assert events.count("event: waiting") == 4

    monkeypatch.setattr("serve.work.job.ENGINE_WAIT_S", 0.2)
    service = Service(engine=Never())
    begun, waits = time.monotonic(), 0
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    service.http.post("/v1/analyses", json={"video_id": uploaded["id"], "task": "ah"})
    while time.monotonic() - begun < 2.5:
        service.worked()
        time.sleep(0.02)
    waits = service.state.meters.waits._value.get()  # type: ignore[attr-defined]
    assert 2 <= waits <= 5, "at 0, 0.2, 0.6, 1.4 and 3 s, not every 0.2 s"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOMEM, "no"), "out_of_memory"),
        (OSError(errno.EMFILE, "no"), "out_of_descriptors"),
        (OSError(errno.EAGAIN, "no"), "out_of_processes"),
        (OSError(errno.ENOSPC, "no"), "storage_full"),
        (StorageFullError(), "storage_full"),
    ],
)
def test_an_analysis_for_which_the_machine_lacks_something_is_given_up_after_a_while(
    video: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    """Once it was put back every second for ever."""
    monkeypatch.setattr("serve.work.job.ENGINE_WAIT_S", 0.0)
    monkeypatch.setattr("serve.store.queue.MOST_STALLS", 4)
    service = Service()
    tries = 0

    def lacks(*_given: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > 20:
            raise AssertionError("tried without end")
        raise error

    monkeypatch.setattr(service.engine, "score", lacks)
    found = analysed(service, video, "Well?")
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    events = service.http.get(f"/v1/analyses/{found['id']}/events").text
    assert events.count("event: waiting") == 4
    # The error, which this test keeps, keeps the frames that it passed through.
    assert decoding_processes() == []


def decoding_processes() -> list[list[str]]:
    """Return the command lines of the decoding processes that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [words for one in children if "isolation.child" in " ".join(words := one.cmdline())]


def test_what_lacks_is_waited_for_several_minutes() -> None:
    waits = [
        min(ENGINE_WAIT_S * 2.0**number, LONGEST_ENGINE_WAIT_S) for number in range(MOST_STALLS)
    ]
    assert 5 * 60 < sum(waits) < 30 * 60

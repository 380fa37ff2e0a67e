"""Cancelling and ending reach every stage: in five seconds, and in half a minute."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fleet import Member
from gated_engine import GatedEngine
from service_in_process import Service
from stub_engine import stub_engine

from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.engine.server_process import free_port
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from serve.work.worker import Worker

CANCELLED_S, ENDED_S = 5.0, 30.0
EVENTS = {"task": "me_lvqa", "question": word(Asked(Kind.count_all))}
KINDS: list[dict[str, str]] = [{"task": "ah"}, EVENTS]


OTHERS = ("ask", "upload", "analysis")


def until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def working(service: Service) -> Iterator[Worker]:
    worker = Worker(service.state)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def asked(service: Service, video: Path, what: dict[str, str]) -> str:
    uploaded = service.http.post("/v1/videos", content=video.read_bytes()).json()
    made = service.http.post("/v1/analyses", json={"video_id": uploaded["id"], **what}).json()
    return f"/v1/analyses/{made['id']}"


@pytest.mark.parametrize("what", KINDS, ids=lambda what: what["task"])
@pytest.mark.parametrize("how", ["cancel", "erase"])
def test_a_cancelled_analysis_lets_its_model_server_and_worker_go(
    video: Path, what: dict[str, str], how: str
) -> None:
    engine, before = GatedEngine(), psutil.Process().children()
    service = Service(engine=engine)
    with working(service) as worker:
        place = asked(service, video, what)
        assert engine.asked.wait(30)
        if how == "cancel":
            assert service.http.post(f"{place}/cancel").json()["status"] == "cancelled"
        else:
            assert service.http.delete(place).status_code == 204
        until(engine.given_up.is_set, CANCELLED_S)
        until(lambda: not worker._beats._held, CANCELLED_S)
        assert psutil.Process().children() == before
        engine.open.set()
        other = asked(service, video, what)
        until(lambda: service.http.get(other).json()["status"] == "succeeded", 60)


@pytest.mark.parametrize("what", KINDS, ids=lambda what: what["task"])
def test_a_cancelled_analysis_lets_its_decoder_go(
    video: Path, what: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stands, read = threading.Event(), IsolatedVideo.read

    def stand_still(opened: IsolatedVideo, *given: Any) -> Any:
        os.kill(opened._running()._child.pid, signal.SIGSTOP)
        stands.set()
        yield from read(opened, *given)

    monkeypatch.setattr(IsolatedVideo, "read", stand_still)
    service, before = Service(), psutil.Process().children()
    with working(service) as worker:
        place = asked(service, video, what)
        assert stands.wait(30)
        begun = time.monotonic()
        service.http.post(f"{place}/cancel")
        until(lambda: not worker._beats._held, CANCELLED_S)
        assert time.monotonic() - begun < CANCELLED_S
        assert psutil.Process().children() == before


def test_a_worker_that_ends_puts_back_what_it_waits_for(video: Path) -> None:
    service = Service(engine=GatedEngine())
    with working(service) as worker:
        place = asked(service, video, EVENTS)
        assert service.state.engine.asked.wait(30)  # type: ignore[attr-defined]
        begun = time.monotonic()
        assert worker.stop(8.0)
        assert time.monotonic() - begun < CANCELLED_S
    assert service.http.get(place).json()["status"] == "queued"


@contextmanager
def serving(data: Path) -> Iterator[Member]:
    with stub_engine() as stub:
        port = free_port()
        words = ["--data", str(data), "--engine-url", stub.url]
        member = Member("serve", "--port", str(port), *words, port=port)
        try:
            member.wait_ready()
            until(lambda: httpx.get(f"{member.url}/readyz").status_code == 200, 60)
            yield member
        finally:
            member.process.kill()


def decoders(process: psutil.Process) -> list[psutil.Process]:
    """Children that run a program of their own by now.

    One that is stopped between fork and exec would hold its parent up.
    """
    return [child for child in process.children() if "-S" in child.cmdline()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["observed", *(pytest.param(one, marks=pytest.mark.rebuild) for one in OTHERS)],
)
def test_a_service_ends_in_time_whatever_it_is_decoding(
    video: Path, tmp_path: Path, kind: str
) -> None:
    """Its decoder stands still for good, which no wait for the end of a request survives."""
    with serving(tmp_path) as member:
        content = video.read_bytes()
        uploaded = httpx.post(f"{member.url}/v1/videos", content=content, timeout=60).json()
        answers: list[httpx.Response] = []

        def request() -> None:
            if kind == "observed":
                path = f"{member.url}/v1/videos/{uploaded['id']}/observed"
                answers.append(httpx.get(path, timeout=60))
            elif kind == "ask":
                files = {"video": ("v.mp4", content)}
                path = f"{member.url}/v1/ask"
                answers.append(httpx.post(path, files=files, data={"task": "ah"}, timeout=60))
            elif kind == "upload":
                answers.append(httpx.post(f"{member.url}/v1/videos", content=other, timeout=60))
            else:
                body = {"video_id": uploaded["id"], "task": "ah"}
                answers.append(httpx.post(f"{member.url}/v1/analyses", json=body, timeout=60))

        other = content + (8).to_bytes(4) + b"free"
        process, thread = psutil.Process(member.process.pid), threading.Thread(target=request)
        thread.start()
        until(lambda: decoders(process), 30)
        (decoder,) = decoders(process)
        decoder.suspend()
        begun = time.monotonic()
        member.process.send_signal(signal.SIGTERM)
        assert member.process.wait(ENDED_S) == 0
        spent = time.monotonic() - begun
        assert spent < ENDED_S
        print(f"{kind}: ended {spent:.1f} s after SIGTERM")  # noqa: T201 - the figure of the run
        thread.join(10)
        assert member.process.stderr is not None
        said = member.process.stderr.read().decode()
        assert "Traceback" not in said, said
        assert not decoder.is_running() or decoder.status() == psutil.STATUS_ZOMBIE
        (answer,) = answers
        if kind != "analysis":
            assert (answer.status_code, answer.json()["code"]) == (503, "service_ends")
        assert not list((tmp_path / "incoming").iterdir())


@pytest.mark.slow
@pytest.mark.rebuild
def test_a_service_ends_in_time_while_bodies_and_answers_are_on_their_way(
    video: Path, tmp_path: Path
) -> None:
    sender = (
        "import socket,sys,time\n"
        "one=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n"
        "one.sendall(b'POST /v1/videos HTTP/1.1\\r\\nHost: localhost\\r\\n'\n"
        "b'Content-Length: 100000000\\r\\n\\r\\n')\n"
        "while True:\n    one.sendall(b'x'*4096)\n    time.sleep(.1)\n"
    )
    with serving(tmp_path) as member:
        uploading = subprocess.Popen(
            ["python3", "-c", sender, str(member.port)], stderr=subprocess.DEVNULL
        )
        until(lambda: list((tmp_path / "incoming").iterdir()), 30)
        begun = time.monotonic()
        member.process.send_signal(signal.SIGTERM)
        assert member.process.wait(ENDED_S) == 0
        assert time.monotonic() - begun < ENDED_S
        uploading.kill()
        uploading.wait()
        assert member.process.stderr is not None
        assert "Traceback" not in (said := member.process.stderr.read().decode()), said
        assert not list((tmp_path / "incoming").iterdir())

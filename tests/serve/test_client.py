"""The typed client against the application, over a real socket."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from served_in_thread import served_in_thread
from service_in_process import PROFILE, Service

from mllm_affect.client import ServiceClient, ask
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import EngineError, UserError
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.tasks.prompts import load_task
from serve.settings import ServiceSettings


@pytest.fixture
def url() -> Iterator[str]:
    with served_in_thread(Service(ServiceSettings(ask_video_seconds=3.0))) as address:
        yield address


def same(one: VideoAnswer, other: VideoAnswer) -> bool:
    return one.model_copy(update={"timings_s": {}}) == other.model_copy(update={"timings_s": {}})


def test_upload_analyse_wait_erase(url: str, video: Path) -> None:
    offline = answer_video(video, load_task("ah"), EchoEngine(), PROFILE)
    with ServiceClient(url) as client:
        found = client.upload(video)
        assert found.segments == len(offline.segments)
        made = client.analyse(found.id, task="ah", idempotency_key="one")
        assert client.analyse(found.id, task="ah", idempotency_key="one").id == made.id
        assert same(client.answer(made.id), offline)
        assert client.cancel(made.id).status == "succeeded"
        client.erase(made.id)
        client.erase_video(found.id)
        with pytest.raises(UserError) as caught:
            client.analysis(made.id)
        assert caught.value.code == "unknown_analysis"


def test_a_long_video_is_waited_for(url: str, video: Path) -> None:
    offline = answer_video(video, load_task("ah"), EchoEngine(), PROFILE)
    assert same(ask(video, task="ah", url=url), offline)


def test_looks_come_often_at_first_and_never_much_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look costs the service a request; a look too late costs a tenth of the wait at most."""
    clock, looks = [0.0], []
    service_client = sys.modules[ServiceClient.__module__]
    passing = SimpleNamespace(
        monotonic=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s)
    )
    monkeypatch.setattr(service_client, "time", passing)

    def look(_client: ServiceClient, _analysis_id: str) -> SimpleNamespace:
        looks.append(clock[0])
        done = clock[0] >= 60.0
        failure = SimpleNamespace(code="stopped", detail="It was long enough.")
        return SimpleNamespace(
            status="failed" if done else "running", error=failure if done else None
        )

    monkeypatch.setattr(ServiceClient, "analysis", look)
    with ServiceClient("http://127.0.0.1:1") as client, pytest.raises(UserError, match="enough"):
        client.answer("0" * 32)
    pauses = [(at, after - at) for at, after in pairwise(looks)]
    assert looks[0] == 0.0
    assert all(0.049 <= pause <= max(0.051, 0.101 * at) for at, pause in pauses)
    assert all(pause <= 0.501 for _, pause in pauses)
    assert len(looks) < 200


def test_problems_become_errors(url: str, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.mp4"
    nothing.write_text("no video")
    with ServiceClient(url) as client, pytest.raises(UserError) as caught:
        client.upload(nothing)
    assert caught.value.code == "unsupported_container"
    with ServiceClient("http://127.0.0.1:1") as client, pytest.raises(EngineError) as away:
        client.analysis("0" * 32)
    assert away.value.code == "service_away"


def test_the_client_needs_no_service_code() -> None:
    code = "import sys, mllm_affect.client; assert 'serve' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

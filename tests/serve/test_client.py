"""The typed client against the application, over a real socket."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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

"""`mllm-affect serve` as a program, with the real vLLM below it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from engine_server import RunningEngine
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.client import ask
from mllm_affect.engine.server_process import bearer, free_port
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.vllm_guard import KEY_VARIABLE
from mllm_affect.engine.vllm_options import SERVED_NAME
from mllm_affect.errors import EngineError, UserError
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.pipeline import answer_video
from mllm_affect.tasks.prompts import load_task
from tests.real_videos import real_video

WITHIN = 1e-3
READY_SECONDS = 400


class Served:
    """A running `mllm-affect serve` and everything it started."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        measured = ["-m", "coverage", "run"] if "COVERAGE_RUN" in os.environ else []
        program = [sys.executable, *measured, "-m", "mllm_affect"]
        command = [*program, "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen: set[psutil.Process] = set()

    def wait(self, until: Callable[[], bool], seconds: float = READY_SECONDS) -> bool:
        """Wait, and remember every child process that is seen meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            if until():
                return True
            time.sleep(0.2)
        return False

    def look(self) -> None:
        try:
            self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def child(self, word: str) -> psutil.Process:
        """The direct child with this word in its command line; most that were seen are gone."""
        for process in psutil.Process(self.process.pid).children():
            if word in process.cmdline():
                return process
        raise AssertionError(f"no child runs {word}")

    def ready(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def left(self) -> list[psutil.Process]:
        """Children that are still alive, given a moment to go."""
        _, alive = psutil.wait_procs(list(self.seen), timeout=5)
        return [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def finish(self, seconds: float = 60) -> tuple[int, str]:
        """Wait for the end; return exit status and standard error."""
        self.wait(lambda: self.process.poll() is not None, seconds)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said


@contextmanager
def served(*options: str) -> Iterator[Served]:
    running = Served(*options)
    try:
        yield running
    finally:
        running.look()
        running.process.kill()
        running.process.wait()
        for process in running.left():
            process.kill()


def ask_cli(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ask", *words], env={"COLUMNS": "200", "TERM": "dumb"})
    return result.exit_code, result.output


@pytest.mark.engine
@pytest.mark.slow
def test_the_service_answers_as_the_offline_engine_does(
    running_engine: RunningEngine, video: Path
) -> None:
    checkpoint = embedded_checkpoint()
    offline = answer_video(
        video, load_task("ah"), TransformersEngine(checkpoint), read_profile(checkpoint)
    )
    with served("--engine-url", running_engine.url, "--engine-url", running_engine.url) as service:
        assert service.wait(service.ready, 60)
        answer = ask(video, task="ah", url=service.url)
        assert answer.probabilities == pytest.approx(offline.probabilities, abs=WITHIN)
        assert [s.probabilities for s in answer.segments] == [
            pytest.approx(s.probabilities, abs=WITHIN) for s in offline.segments
        ]
        assert answer.warnings == offline.warnings
        assert answer.source_sha256 == offline.source_sha256

        person = ask(real_video("talking"), task="ah", url=service.url)
        assert [round(part.end_s, 1) for part in person.segments] == [5.0, 9.9, 14.9, 19.7]
        assert all(part.has_audio for part in person.segments)

        with pytest.raises(UserError) as caught:
            ask(video, task="nosuch", url=service.url)
        assert caught.value.code == "unknown_task"

        status, printed = ask_cli(str(video), "--task", "ah", "--url", service.url)
        assert status == 0
        assert "5.000" in printed
        status, printed = ask_cli(str(video), "Smile?", "--answer", "yes", "--answer", "no",
                                  "--url", service.url, "--json")  # fmt: skip
        assert (status, set(json.loads(printed)["probabilities"])) == (0, {"yes", "no"})

        service.process.send_signal(signal.SIGTERM)
        assert service.finish()[0] == 0
    assert httpx.get(f"{running_engine.url}/health").status_code == 200, "not ours to end"


def answers_its_parent_alone(child: psutil.Process) -> None:
    """Who does not know the key of the child gets nothing; who does cannot have it fetch."""
    words = child.cmdline()
    url = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    for path in ("/health", "/metrics", "/v1/models", "/tokenize", "/invocations", "/docs"):
        assert httpx.get(f"{url}{path}").status_code == 401, path
    page = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{url}/v1/chat/completions", headers=page).status_code == 401
    key = child.environ()[KEY_VARIABLE]
    assert key not in " ".join(words)
    media = {"type": "video_url", "video_url": {"url": "http://127.0.0.1:9/video.mp4"}}
    body = {"model": SERVED_NAME, "messages": [{"role": "user", "content": [media]}]}
    refused = httpx.post(f"{url}/v1/chat/completions", json=body, headers=bearer(key), timeout=60)
    assert refused.status_code == 400
    assert "allowed domains" in refused.text


@pytest.mark.engine
@pytest.mark.rebuild
def test_the_service_starts_its_engine_and_ends_with_it(video: Path, tmp_path: Path) -> None:
    with served("--engine-log", str(tmp_path / "engine.log")) as service:
        assert service.wait(lambda: (tmp_path / "engine.log").exists(), 60)
        assert service.wait(lambda: _answers(f"{service.url}/healthz"), 60)
        assert httpx.get(f"{service.url}/readyz").status_code == 503
        with pytest.raises(EngineError) as caught:
            ask(video, task="ah", url=service.url)
        assert caught.value.code == "engine_away"
        assert service.wait(service.ready)
        assert set(ask(video, task="ah", url=service.url).probabilities) == {"yes", "no"}
        child = service.child("mllm_affect.engine.vllm_entry")
        answers_its_parent_alone(child)
        assert (tmp_path / "engine.log").stat().st_mode & 0o777 == 0o600
        child.kill()
        status, said = service.finish()
        assert status == 1
        assert "engine_died" in said
        assert "miniature" in said
        assert "Traceback" not in said
        assert len(service.seen) >= 2
        assert service.left() == []


@pytest.mark.engine
@pytest.mark.rebuild
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 0),
        (signal.SIGINT, 130),
        (signal.SIGKILL, -9),
    ],
)
def test_nothing_is_left_however_a_starting_service_ends(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    log = tmp_path / "engine.log"
    with served("--engine-log", str(log)) as service:
        assert service.wait(lambda: log.exists() and log.stat().st_size > 0, 90)
        assert service.seen
        service.process.send_signal(number)
        assert service.finish()[0] == status
        assert service.left() == []


@pytest.mark.engine
@pytest.mark.rebuild
def test_an_engine_that_dies_while_starting() -> None:
    with served("--engine-option=--no-such-option") as service:
        status, said = service.finish(120)
        assert status == 1
        assert "--no-such-option" in said
        assert "engine_died" in said
        assert "Traceback" not in said
        assert service.left() == []


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def serve_cli(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["serve", *words], env={"COLUMNS": "300", "TERM": "dumb"})
    return result.exit_code, result.output


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        cases = {
            "bad_checkpoint": ("--model", str(tmp_path)),
            "port_in_use": ("--port", port),
            "unsafe_bind": ("--host", "0.0.0.0"),
            "bad_api_key": ("--api-key-file", str(tmp_path / "none")),
            "bad_engine_url": ("--engine-url", f"http://127.0.0.1:{free_port()}"),
        }
        for code, words in cases.items():
            status, printed = serve_cli("--json", *words)
            assert status == 2, code
            assert json.loads(printed.splitlines()[-1])["error"]["code"] == code
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_dry_run_prints_the_command_and_starts_nothing() -> None:
    status, printed = serve_cli("--dry-run", "--engine-option=--seed=3")
    assert status == 0
    assert "serve" in printed
    assert "--media-io-kwargs" in printed
    assert "--seed=3" in printed
    status, printed = serve_cli("--dry-run", "--json")
    assert "--mm-processor-kwargs" in json.loads(printed)["command"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("{video}", "--task", "ah"), 1, "service_away"),
        (("{video}",), 2, "bad_question"),
        (("{video}", "Why?", "--task", "ah"), 2, "bad_question"),
        (("missing.mp4", "--task", "ah"), 2, "file_not_found"),
    ],
)
def test_asking_when_nothing_can_answer(
    video: Path, words: tuple[str, ...], status: int, code: str
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    filled = [word.format(video=video) for word in words]
    found, printed = ask_cli(*filled, "--url", url, "--json")
    assert (found, json.loads(printed)["error"]["code"]) == (status, code)
    if code == "service_away":
        assert "mllm-affect serve" in printed
    assert ask_cli(*filled, "--url", "nonsense", "--json")[0] == 2

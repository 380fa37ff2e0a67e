"""Work on a video ends wherever it is when it is stopped, and leaves no process behind."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from gated_engine import GatedEngine

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.engine.bounds import BoundedEngine, Bounds
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.expressions.answering import answer_video
from mllm_affect.expressions.questions import family_of, question_of
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.types import Sampling
from mllm_affect.stopping import Stop, StoppedError
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task

SOON_S = 3.0
SMALL = Sampling(fps=4.0, max_pixels=4096)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty seconds of noise to look at."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (30 * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("stopped") / "video.mp4"
    write_video(frames, random.normal(0, 3000, 30 * 16_000).astype(np.int16), path)
    return path


@pytest.fixture(autouse=True)
def no_child_is_left() -> Any:
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    assert psutil.wait_procs(left, timeout=3)[1] == []


def seconds_to_end(stop: Stop, work: Callable[[], object], when: threading.Event) -> float:
    """Stop the work once `when` is set; return how long it went on."""
    begun: list[float] = []

    def stopping() -> None:
        assert when.wait(30)
        begun.append(time.monotonic())
        stop.set()

    thread = threading.Thread(target=stopping)
    thread.start()
    with pytest.raises(StoppedError):
        work()
    ended = time.monotonic()
    thread.join()
    return ended - begun[0]


def challenge(kind: Kind) -> Task:
    asked = Asked(kind)
    return question_of(family_of(asked), word(asked))


@pytest.mark.parametrize(
    "task", [load_task("ah"), challenge(Kind.coarse), challenge(Kind.count_all)], ids=lambda t: t.id
)
def test_while_the_model_is_asked(video: Path, task: Task) -> None:
    engine, stop = GatedEngine(), Stop()
    bounded = BoundedEngine(engine, Bounds(stop))
    spent = seconds_to_end(
        stop, lambda: answer_video(video, task, bounded, stop=stop, in_flight=4), engine.asked
    )
    assert spent < SOON_S


@pytest.mark.parametrize(
    "task", [load_task("ah"), challenge(Kind.count_all)], ids=lambda task: task.id
)
def test_while_the_video_is_decoded(
    video: Path, monkeypatch: pytest.MonkeyPatch, task: Task
) -> None:
    """A decoder that gives nothing any more is not waited for."""
    stop, stands = Stop(), threading.Event()
    read = IsolatedVideo.read

    def stand_still(opened: IsolatedVideo, *given: Any) -> Any:
        for clip in read(opened, *given):
            yield clip
            os.kill(opened._running()._child.pid, signal.SIGSTOP)
            stands.set()

    monkeypatch.setattr(IsolatedVideo, "read", stand_still)
    bounded = BoundedEngine(EchoEngine(), Bounds(stop))
    # Of messages that are in the pipe already, each is looked at once before.
    assert seconds_to_end(stop, lambda: answer_video(video, task, bounded, stop=stop), stands) < 5.0


def test_a_video_that_has_been_read_is_closed_while_the_model_is_waited_for(video: Path) -> None:
    engine, read = GatedEngine(), threading.Event()
    answers: list[Any] = []

    def work() -> None:
        answer = answer_video(video, load_task("ah"), engine, in_flight=16, on_read=read.set)
        answers.append(answer)

    before = psutil.Process().children()
    thread = threading.Thread(target=work)
    thread.start()
    assert read.wait(30)
    assert psutil.Process().children() == before
    assert not answers
    engine.open.set()
    thread.join(30)
    assert len(answers[0].segments) == 6


def test_what_was_not_stopped_is_the_same(video: Path) -> None:
    for task in (load_task("ah"), challenge(Kind.count_all)):
        told: list[str] = []
        answer = answer_video(
            video, task, BoundedEngine(EchoEngine(), Bounds()), stop=Stop(),
            on_read=lambda: told.append("read"),  # noqa: B023
        )  # fmt: skip
        assert answer.verdict().answer == answer_video(video, task, EchoEngine()).answer
        assert told == ["read"]

"""Questions to a server that hangs are given up at once, wherever they are, from another thread."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from noise_inputs import noise_input
from vocabularies import miniature_vocabulary

from mllm_affect.engine import vllm_client
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.errors import EngineError
from mllm_affect.tasks.model_input import ModelInput

SOON_S = 1.0


class Hung:
    """A server that takes connections, and reads (if at all) without ever answering."""

    def __init__(self, *, reads: bool) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._reads, self._taken = reads, list[socket.socket]()
        self.bytes_read = 0
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def connections(self) -> int:
        return len(self._taken)

    def close(self) -> None:
        for one in (self._listening, *self._taken):
            one.close()

    def _take(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            self._taken.append(one)
            if self._reads:
                threading.Thread(target=self._read, args=(one,), daemon=True).start()

    def _read(self, one: socket.socket) -> None:
        with suppress(OSError):  # closed in the meantime
            while some := one.recv(1 << 16):
                self.bytes_read += len(some)


class Question:
    """A question in a thread of its own: `outcome` is its error's code, and when that came."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine, self._ended = engine, list[tuple[str, float]]()
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        try:
            self._engine.score([large_input()], ("yes", "no"))
        except EngineError as error:
            self._ended.append((error.code, time.monotonic()))

    def outcome(self) -> tuple[str, float]:
        self.thread.join(10)
        assert self._ended, "it still waits"
        return self._ended[0]


@contextmanager
def asked(server: Hung) -> Iterator[tuple[VllmEngine, Question]]:
    """Ask one question."""
    engine = VllmEngine(server.url, large_input().fps, "m", vocabulary=miniature_vocabulary())
    question = Question(engine)
    yield engine, question
    engine.hang_up()
    question.thread.join()
    engine.close()
    server.close()


def large_input() -> ModelInput:
    """More bytes than sockets hold on their way."""
    random = np.random.default_rng(0)
    frames_THWC = random.integers(0, 256, (2, 1024, 2048, 3), dtype=np.uint8)
    made = noise_input(0, samples=None)
    return replace(made, frames_THWC=frames_THWC)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("reads", [True, False], ids=["waiting for an answer", "still sending"])
def test_a_question_in_flight_ends_at_once(reads: bool) -> None:
    server = Hung(reads=reads)
    with asked(server) as (engine, question):
        wait_until(lambda: server.bytes_read > 1 << 20 if reads else server.connections)
        time.sleep(0.2)
        begun = time.monotonic()
        engine.hang_up()
        code, ended = question.outcome()
    assert code == "engine_away"
    assert ended - begun < SOON_S
    assert server.connections == 1, "it was not tried again"


class Held:
    """A function in its place that is held up: `reached` once it was called, until `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._own = getattr(where, name)
        monkeypatch.setattr(where, name, self)

    def __call__(self, *given: Any, **named: Any) -> Any:
        made = self._own(*given, **named)
        self.reached.set()
        assert self.go_on.wait(10)
        return made


@pytest.mark.parametrize("taken_up", [False, True])
@pytest.mark.parametrize(
    ("where", "name", "connections"),
    [(vllm_client, "content_parts", 0), (socket, "create_connection", 1)],
    ids=["being worded", "connecting"],
)
def test_a_question_from_before_is_given_up_for_good(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, connections: int, taken_up: bool
) -> None:
    """Nobody would count it as in flight: it must not slip through when the server is tried."""
    held, server = Held(monkeypatch, where, name), Hung(reads=True)
    with asked(server) as (engine, question):
        assert held.reached.wait(10)
        engine.hang_up()
        if taken_up:
            engine.take_up()
        held.go_on.set()
        begun = time.monotonic()
        code, ended = question.outcome()
    assert (code, server.connections) == ("engine_away", connections)
    assert ended - begun < SOON_S


def test_after_taking_up_questions_go_through_again() -> None:
    server = Hung(reads=True)
    with asked(server) as (engine, question):
        wait_until(lambda: server.connections)
        engine.hang_up()
        question.outcome()
        with pytest.raises(EngineError, match="does not answer"):
            engine.score([large_input()], ("yes", "no"))
        assert server.connections == 1
        engine.take_up()
        again = Question(engine)
        wait_until(lambda: server.connections == 2)
        engine.hang_up()
        assert again.outcome()[0] == "engine_away"

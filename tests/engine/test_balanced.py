"""Which of several model servers is asked: the clip's own, unless others have less to do."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from noise_inputs import noise_input
from well_echo import WellEcho

from mllm_affect.engine import balanced as balanced_module
from mllm_affect.engine.balanced import AT_ONCE, TRIES, BalancedEngine
from mllm_affect.engine.types import AnswerScores, Engine
from mllm_affect.engine.watched_server import QUESTION_TIMEOUT, Patience, WatchedServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.tasks.model_input import ModelInput

ANSWERS = ("yes", "no")


class Server(WellEcho):
    """Notes what it is asked; waits while `gate` is closed; away once `gone`.

    About one of the clips `hated` it raises this error instead.
    """

    hated: dict[int, EngineError]

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[ModelInput] = []
        self.gone, self.hated = False, {}
        self.gate = threading.Event()
        self.gate.set()

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.asked += inputs
        if self.gone:
            raise EngineError("engine_away", "gone")
        for made in inputs:
            if id(made) in self.hated:
                raise self.hated[id(made)]
        assert self.gate.wait(10)
        return super().score(inputs, answers)


def first_question(server: Server) -> Callable[[Engine], None]:
    """The question of ours: answered as long as the server is there."""

    def ask(_engine: Engine) -> None:
        if server.gone:
            raise EngineError("engine_away", "gone")

    return ask


@contextmanager
def balanced(servers: Sequence[Server]) -> Iterator[BalancedEngine]:
    watched = [WatchedServer(server, first_question(server)) for server in servers]
    engine = BalancedEngine(watched)
    engine.start()
    assert all(one.wait_well(10) for one in watched)
    yield engine
    for server in servers:
        server.gate.set()
    engine.close()


def test_questions_about_one_clip_go_to_one_server_and_clips_are_spread() -> None:
    servers = [Server() for _ in range(6)]
    clips = [noise_input(n, samples=None) for n in range(90)]
    with balanced(servers) as engine:
        for _ in range(2):
            for clip in clips:
                engine.score([clip], ANSWERS)
    seen = [{id(made.frames_THWC) for made in server.asked} for server in servers]
    assert sum(map(len, seen)) == len(clips), "no clip was sent to two"
    assert all(6 <= len(of_server) <= 27 for of_server in seen), "about fifteen each"


def test_a_busy_server_is_passed_over() -> None:
    servers = [Server(), Server()]
    clip = noise_input(1, samples=None)
    for server in servers:
        server.gate.clear()
    with balanced(servers) as engine:
        asking = threading.Thread(target=engine.score, args=([clip] * AT_ONCE, ANSWERS))
        asking.start()
        for _ in range(1000):
            if sum(len(server.asked) for server in servers) == AT_ONCE:
                break
            threading.Event().wait(0.01)
        counts = sorted(len(server.asked) for server in servers)
        for server in servers:
            server.gate.set()
        asking.join()
    assert sum(counts) == AT_ONCE
    assert counts[0] >= AT_ONCE // 2 - 1


def test_a_clip_whose_server_is_away_goes_to_another_and_others_stay() -> None:
    servers = [Server() for _ in range(3)]
    clips = [noise_input(n, samples=None) for n in range(12)]
    with balanced(servers) as engine:
        engine.score(clips, ANSWERS)
        for server in servers:
            server.asked.clear()
        servers[0].gone = True
        for clip in clips:
            engine.score([clip], ANSWERS)
        again = [{id(made.frames_THWC) for made in server.asked} for server in servers[1:]]
        assert sum(map(len, again)) == len(clips)
        for server in servers[1:]:
            server.gone = True
        with pytest.raises(EngineError, match=r"gone|not ready"):
            engine.score([clips[0]], ANSWERS)


@pytest.mark.parametrize(
    ("raised", "tries", "code"),
    [
        ("engine_refused", TRIES, "question_failed"),
        ("engine_garbled", TRIES, "question_failed"),
        ("engine_away", TRIES, "question_failed"),
        (QUESTION_TIMEOUT, 1, "question_too_slow"),
    ],
)
def test_a_question_that_a_server_fails_on_leaves_it_to_others(
    monkeypatch: pytest.MonkeyPatch, raised: str, tries: int, code: str
) -> None:
    """As a question whose answer crashes the request, or a connection that breaks each time."""
    monkeypatch.setattr(balanced_module, "PAUSE_S", 0.0)
    server = Server()
    hated, others = noise_input(0), [noise_input(n) for n in range(1, 5)]
    server.hated[id(hated)] = EngineError(raised, "no")
    with balanced([server]) as engine:
        for other in others:
            with pytest.raises(UserError) as caught:
                engine.score([hated], ANSWERS)
            assert caught.value.code == code
            assert engine.is_ready()
            engine.score([other], ANSWERS)
    assert sum(made is hated for made in server.asked) == tries * len(others)


def test_a_server_that_fails_on_our_question_too_is_out() -> None:
    server = Server()
    made = noise_input(0)
    server.hated[id(made)] = EngineError("engine_garbled", "no")
    with balanced([server]) as engine:
        server.gone = True  # to our question alone: this one fails in its own way
        server.gate.set()
        with pytest.raises(EngineError):
            engine.score([made], ANSWERS)
        assert not engine.is_ready()


def test_of_two_servers_the_other_one_is_tried_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced_module, "PAUSE_S", 0.0)
    servers = [Server(), Server()]
    made = noise_input(0)
    with balanced(servers) as engine:
        engine.score([made], ANSWERS)
        (own,) = (server for server in servers if server.asked)
        own.hated[id(made)] = EngineError("engine_refused", "no")
        engine.score([made], ANSWERS)
        assert engine.servers[0].is_well
        assert engine.servers[1].is_well


@pytest.mark.parametrize("answers_ours", [True, False])
def test_a_slow_question_alone_does_not_take_its_server_out(answers_ours: bool) -> None:
    """A server is out when it answers nothing at all, ours included."""
    server = Server()
    patience = Patience(look_s=0.02, stall_s=0.1)
    watched = WatchedServer(server, first_question(server), patience)
    engine = BalancedEngine([watched])
    engine.start()
    assert watched.wait_well(10)
    server.gate.clear()
    asking = threading.Thread(target=engine.score, args=([noise_input(0)], ANSWERS))
    asking.start()
    server.gone = not answers_ours
    threading.Event().wait(0.6)
    assert watched.is_well == answers_ours
    server.gate.set()
    asking.join()
    engine.close()


def test_many_who_wonder_about_a_server_cause_few_questions_of_ours() -> None:
    asked: list[float] = []

    def slowly(_engine: Engine) -> None:
        asked.append(time.monotonic())
        threading.Event().wait(0.1)

    watched = WatchedServer(Server(), slowly)
    watched.start()
    assert watched.wait_well(10)
    asked.clear()
    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(lambda _n: watched.answers_others(), range(20)))
    assert len(asked) <= 2
    watched.close()

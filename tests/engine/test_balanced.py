"""Which of several model servers is asked: the clip's own, unless others have less to do."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from noise_inputs import noise_input
from well_echo import WellEcho

from mllm_affect.engine.balanced import AT_ONCE, BalancedEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.watched_server import WatchedServer
from mllm_affect.errors import EngineError
from mllm_affect.tasks.model_input import ModelInput

ANSWERS = ("yes", "no")


class Server(WellEcho):
    """Notes what it is asked; waits while `gate` is closed; away once `gone`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[ModelInput] = []
        self.gone = False
        self.gate = threading.Event()
        self.gate.set()

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.asked += inputs
        if self.gone:
            raise EngineError("engine_away", "gone")
        assert self.gate.wait(10)
        return super().score(inputs, answers)


@contextmanager
def balanced(servers: Sequence[Server]) -> Iterator[BalancedEngine]:
    watched = [WatchedServer(server, lambda _engine: None) for server in servers]
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

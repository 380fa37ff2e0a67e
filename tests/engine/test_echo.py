"""The engine without a model, and several engines as one."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from noise_inputs import noise_input
from well_echo import WellEcho

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.watched_server import Patience, WatchedServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.tasks.model_input import ModelInput


class Away(WellEcho):
    """A server that is away, or that refuses."""

    def __init__(self, code: str = "engine_away") -> None:
        super().__init__()
        self.code, self.asked = code, 0

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.asked += 1
        raise EngineError(self.code, "no")


class Meeting(WellEcho):
    """Answers only once as many requests are in flight as there are servers."""

    barrier = threading.Barrier(2, timeout=10)

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.barrier.wait()
        return super().score(inputs, answers)


def first_question(engine: Any) -> None:
    """The service's own question: a server that was found to be away does not answer it."""
    if isinstance(engine, Away) and engine.asked:
        raise EngineError(engine.code, "no")


def together(*engines: Any) -> BalancedEngine:
    """These engines as one, once all of them are asked."""
    patience = Patience(look_s=0.01)
    servers = [
        WatchedServer(engine, lambda _bounded, own=engine: first_question(own), patience)
        for engine in engines
    ]
    balanced = BalancedEngine(servers)
    balanced.start()
    assert all(server.wait_well(10) for server in servers)
    return balanced


def test_echo_is_the_same_every_time_and_depends_on_the_clip() -> None:
    inputs = [noise_input(seed) for seed in range(6)]
    first = EchoEngine().score(inputs, ("yes", "no"))
    assert first == EchoEngine().score(inputs, ("yes", "no"))
    assert len({scores.log_probabilities["yes"] for scores in first}) > 1
    assert all(sum(scores.probabilities.values()) == pytest.approx(1.0) for scores in first)


def test_echo_with_a_favourite() -> None:
    (scores,) = EchoEngine("b", certainty=0.8).score([noise_input(0)], ("a", "b", "c"))
    assert scores.probabilities == pytest.approx({"a": 0.1, "b": 0.8, "c": 0.1})


def test_echo_writes_the_question_back() -> None:
    assert EchoEngine().generate([noise_input(0, question="Who is it?")], 2) == ["Who is"]


def test_inputs_go_to_all_servers_in_order() -> None:
    inputs = [noise_input(seed) for seed in range(4)]
    balanced = together(Meeting(), Meeting())
    assert balanced.score(inputs, ("yes", "no")) == EchoEngine().score(inputs, ("yes", "no"))
    assert balanced.generate(inputs, 3) == EchoEngine().generate(inputs, 3)
    balanced.close()


def test_a_server_that_is_away_is_passed_over() -> None:
    balanced = together(Away(), WellEcho("yes"))
    assert balanced.score([noise_input(0)], ("yes", "no"))[0].best == "yes"


def test_servers_that_are_all_away_are_told_so() -> None:
    both = Away(), Away()
    with pytest.raises(EngineError, match="no") as caught:
        together(*both).score([noise_input(0)], ("yes", "no"))
    assert caught.value.code == "engine_away"
    assert [one.asked for one in both] == [1, 1]


def test_echo_refuses_bad_answers_as_every_engine_does() -> None:
    with pytest.raises(UserError):
        EchoEngine().score([noise_input(0)], ("yes",))

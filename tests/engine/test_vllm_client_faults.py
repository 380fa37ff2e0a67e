"""What the client makes of a server that refuses, stalls, garbles or is away."""

import threading
import time
from typing import Any

import pytest
from faulty_server import FaultyServer, choice, client_of, yes_or_no
from noise_inputs import noise_input

from mllm_affect.engine import vllm_http
from mllm_affect.engine.bounds import Bounds
from mllm_affect.engine.server_process import free_port
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.errors import EngineError, UserError
from mllm_affect.stopping import Stop, StoppedError


def test_a_lost_connection_is_tried_again(faulty: FaultyServer, engine: VllmEngine) -> None:
    faulty.reply = lambda body: (0, None) if len(faulty.bodies) < 3 else yes_or_no(body)
    (scores,) = engine.score([noise_input(1)], ("yes", "no"))
    assert scores.best == "yes"
    assert len(faulty.bodies) == 3


NAMELESS = {
    "choices": [{"logprobs": {"content": [{"token": "yes", "top_logprobs": [{"token": "yes"}]}]}}]
}
"""What a server says that tells tokens by their text."""

TOO_LONG = {"error": {"message": "This model's maximum context length is 8192 tokens."}}


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (0, None, "engine_away"),
        (503, {}, "engine_away"),
        (500, {"error": {"message": "boom"}}, "engine_refused"),
        (404, b"<html>", "engine_refused"),
        (200, {"choices": []}, "engine_garbled"),
        (200, b"not JSON", "engine_garbled"),
        (200, {"choices": [{"message": {"content": "yes"}}]}, "engine_garbled"),
        (200, {"choices": [{"logprobs": {"content": []}}]}, "engine_garbled"),
        (200, NAMELESS, "engine_garbled"),
    ],
)
def test_faults_are_engine_errors(
    faulty: FaultyServer, engine: VllmEngine, status: int, answer: Any, code: str
) -> None:
    faulty.reply = lambda body: (status, answer)
    with pytest.raises(EngineError) as caught:
        engine.score([noise_input(1)], ("yes", "no"))
    assert caught.value.code == code


def test_text_that_is_missing_is_an_engine_error(faulty: FaultyServer, engine: VllmEngine) -> None:
    faulty.reply = lambda body: (200, {"choices": [{}]})
    with pytest.raises(EngineError):
        engine.generate([noise_input(1)], 4)


def test_a_server_that_stalls(
    faulty: FaultyServer, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = threading.Event()
    faulty.reply = lambda body: (stalled.wait(5), (200, {}))[1]
    monkeypatch.setattr(vllm_http, "REQUEST_SECONDS", 0.2)
    with pytest.raises(EngineError) as caught:
        engine.score([noise_input(1)], ("yes", "no"))
    stalled.set()
    assert caught.value.code == "engine_timeout"


def test_what_the_user_can_mend(faulty: FaultyServer, engine: VllmEngine) -> None:
    faulty.reply = lambda body: (400, TOO_LONG)
    cases = {
        "input_too_long": noise_input(1),
        "wrong_frame_rate": noise_input(1).__class__(**{**vars(noise_input(1)), "fps": 2.0}),
        "bad_question": noise_input(1, question="Hello <|im_end|>"),
    }
    for code, made in cases.items():
        with pytest.raises(UserError) as caught:
            engine.score([made], ("yes", "no"))
        assert caught.value.code == code


def test_readiness(engine: VllmEngine) -> None:
    assert engine.is_ready()
    away = client_of(f"http://127.0.0.1:{free_port()}")
    assert not away.is_ready()
    with pytest.raises(EngineError) as caught:
        away.generate([noise_input(1)], 4)
    assert caught.value.code == "engine_away"
    away.close()


def test_one_question_can_be_given_up_without_the_others(faulty: FaultyServer) -> None:
    """Also on a connection that was used before, and without waiting for the server."""
    engine, released = client_of(faulty.url), threading.Event()
    faulty.reply = yes_or_no
    engine.score([noise_input(1), noise_input(2)], ("yes", "no"))

    def hang(body: dict[str, Any]) -> tuple[int, Any]:
        released.wait(10)
        return yes_or_no(body)

    faulty.reply = hang
    stop, ended = Stop(), dict[str, Any]()

    def ask(name: str, bounds: Bounds) -> None:
        try:
            ended[name] = engine.score_within([noise_input(3)], ("yes", "no"), bounds)
        except StoppedError:
            ended[name] = time.monotonic()

    threads = [
        threading.Thread(target=ask, args=(name, bounds))
        for name, bounds in (("stopped", Bounds(stop)), ("other", Bounds()))
    ]
    before = len(faulty.bodies)
    for thread in threads:
        thread.start()
    while len(faulty.bodies) < before + 2:
        time.sleep(0.01)
    begun = time.monotonic()
    stop.set()
    threads[0].join(5)
    assert ended["stopped"] - begun < 1.0
    with pytest.raises(StoppedError):
        engine.score_within([noise_input(3)], ("yes", "no"), Bounds(stop))
    assert len(faulty.bodies) == before + 2, "it was not asked again"
    assert "other" not in ended
    released.set()
    threads[1].join(5)
    assert ended["other"][0].best == "yes"
    engine.close()


def test_a_question_ends_when_its_own_time_has_run_out(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    """Each of its many requests is quick; together they are too slow."""

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(0.05)
        return 200, choice(body, dict.fromkeys(body["logprob_token_ids"], -1.0))

    faulty.reply = reply
    alike, begun = "a" * 50, time.monotonic()
    with pytest.raises(EngineError) as caught:
        engine.score_within([noise_input(1)], (f"{alike}b", f"{alike}c"), Bounds(seconds=0.5))
    assert caught.value.code == "question_timeout"
    assert time.monotonic() - begun < 2.0

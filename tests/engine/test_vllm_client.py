"""What the client makes of a server that refuses, stalls, garbles or is away.

A few lines of HTTP stand in for the faults; the real server is asked in test_parity_vllm.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from noise_inputs import noise_input
from vocabularies import miniature_vocabulary

from mllm_affect.engine import vllm_http
from mllm_affect.engine.answer_tree import LONGEST_ANSWER, MOST_ANSWERS, MOST_BEGINNINGS
from mllm_affect.engine.bounds import Bounds
from mllm_affect.engine.sent_media import PATIENCE
from mllm_affect.engine.server_process import free_port
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling
from mllm_affect.stopping import Stop, StoppedError

Reply = Callable[[dict[str, Any]], tuple[int, Any]]


class FaultyServer(ThreadingHTTPServer):
    """Answers every request with what `reply` says; `bodies` are the requests so far."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Reply = lambda body: (200, {})
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def do_GET(self) -> None:
        self._send(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        status, answer = self.server.reply(body)
        if status == 0:
            self.close_connection = True
            return
        self._send(status, answer)

    def _send(self, status: int, answer: Any) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def engine(faulty: FaultyServer) -> Iterator[VllmEngine]:
    client = client_of(faulty.url)
    yield client
    client.close()


def client_of(url: str) -> VllmEngine:
    return VllmEngine(url, 4.0, "model", concurrency=1, vocabulary=miniature_vocabulary())


def number_of(token: str) -> int:
    return miniature_vocabulary().id_of(token.encode())


def choice(body: dict[str, Any], tokens: dict[int, float]) -> dict[str, Any]:
    """A chat completion with these tokens' log-probabilities; all others are next to impossible."""
    forced = body.get("vllm_xargs", {}).get("forced_tokens", [])
    content: list[dict[str, Any]] = [{"token": f"token_id:{n}", "top_logprobs": []} for n in forced]
    entries = [
        {"token": f"token_id:{number}", "logprob": tokens.get(number, -9999.0)}
        for number in body["logprob_token_ids"]
    ]
    content.append({"token": "token_id:3", "logprob": 0.0, "top_logprobs": entries})
    return {"choices": [{"message": {"content": "x"}, "logprobs": {"content": content}}]}


def yes_or_no(body: dict[str, Any]) -> tuple[int, Any]:
    """The usual answer of a well server."""
    return 200, choice(body, {number_of("y"): -0.1, number_of("n"): -2.4})


def test_parts_are_ordered_and_answers_constrained(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    faulty.reply = yes_or_no
    (scores,) = engine.score([noise_input(1)], ("yes", "no"))
    assert scores.best == "yes"
    (body,) = faulty.bodies
    parts = body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["input_audio", "video_url", "text"]
    assert {number_of(token) for token in ("y", "yes", " yes", "Y", "n", "no", " no")} <= set(
        body["logprob_token_ids"]
    )
    assert (body["temperature"], body["max_tokens"]) == (0, 1)
    faulty.bodies.clear()
    engine.score([noise_input(1, samples=None)], ("yes", "no"))
    assert [p["type"] for p in faulty.bodies[0]["messages"][0]["content"]] == ["video_url", "text"]


def test_several_tokens_that_end_the_answer_add_up(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    one, other = sorted(miniature_vocabulary().ends)
    ends = {one: math.log(0.3), other: math.log(0.1), number_of("2"): math.log(0.6)}

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        written = body.get("vllm_xargs", {}).get("forced_tokens", [])
        ways = [{number_of("A"): 0.0}, {number_of("U"): 0.0}, {number_of("1"): 0.0}, ends]
        return 200, choice(body, ways[len(written)])

    faulty.reply = reply
    (scores,) = engine.score([noise_input(1)], ("AU1", "AU12"))
    assert scores.probabilities == pytest.approx({"AU1": 0.4, "AU12": 0.6})
    forced = [number_of(token) for token in "AU1"]
    assert faulty.bodies[-1]["vllm_xargs"] == {"forced_tokens": forced}
    assert faulty.bodies[-1]["max_tokens"] == 4
    assert len(faulty.bodies[-1]["messages"]) == 1


def test_answers_are_told_apart_inside_a_letter(faulty: FaultyServer, engine: VllmEngine) -> None:
    """Here a Cyrillic letter is two tokens, and both words begin with the same one."""
    first, yes, no = (miniature_vocabulary().id_of(bytes([byte])) for byte in (0xD0, 0xB4, 0xBD))

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        written = body.get("vllm_xargs", {}).get("forced_tokens", [])
        last = {yes: math.log(0.2), no: math.log(0.3)}
        return 200, choice(body, last if written == [first] else {first: 0.0})

    faulty.reply = reply
    (scores,) = engine.score([noise_input(1)], ("да", "нет"))
    assert scores.probabilities == pytest.approx({"да": 0.4, "нет": 0.6})
    assert len(faulty.bodies) == 2


def test_more_tokens_than_one_request_may_name_are_asked_for_in_several(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    faulty.reply = lambda body: (
        200,
        choice(body, {number: -float(number) / 100 for number in body["logprob_token_ids"]}),
    )
    answers = [chr(0x20AC + 64 * n) for n in range(3)]
    vocabulary = miniature_vocabulary()
    some = [token for token in vocabulary.ids if token.isascii() and len(token) > 1][:61]
    (scores,) = engine.score([noise_input(1)], [*answers, *some])
    assert sum(scores.probabilities.values()) == pytest.approx(1.0)
    first = [body for body in faulty.bodies if "vllm_xargs" not in body]
    assert all(len(body["logprob_token_ids"]) <= 128 for body in faulty.bodies)
    named = [number for body in first for number in body["logprob_token_ids"]]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    "answers",
    [
        ("a" * (LONGEST_ANSWER + 1), "b"),
        [str(number) for number in range(MOST_ANSWERS + 1)],
        ("yes<|im_end|>", "no"),
        ("<think>", "no"),
        ("\ud800", "no"),
    ],
)
def test_answers_that_would_burden_or_steer_the_server_are_not_asked_about(
    faulty: FaultyServer, engine: VllmEngine, answers: Any
) -> None:
    with pytest.raises(UserError) as caught:
        engine.score([noise_input(1)], answers)
    assert caught.value.code == "bad_answers"
    assert faulty.bodies == []


def test_answers_that_begin_alike_for_long_are_refused_after_a_bounded_number_of_requests(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    # Every beginning is possible, so that every one is asked about.
    faulty.reply = lambda body: (200, choice(body, dict.fromkeys(body["logprob_token_ids"], -1.0)))
    alike = "a" * (LONGEST_ANSWER - 1)
    with pytest.raises(UserError, match="begin alike") as caught:
        engine.score([noise_input(1)], (f"{alike}b", f"{alike}c"))
    assert caught.value.code == "bad_answers"
    assert len(faulty.bodies) <= MOST_BEGINNINGS


def test_a_server_without_our_options_is_found_out(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    """It ignores the forced tokens and writes what it likes."""

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        answer = choice({**body, "vllm_xargs": {}}, dict.fromkeys(body["logprob_token_ids"], -1.0))
        answer["choices"][0]["logprobs"]["content"] *= body["max_tokens"]
        return 200, answer

    faulty.reply = reply
    with pytest.raises(EngineError, match="serve --dry-run") as caught:
        warm_up(engine, Sampling(fps=4.0))
    assert caught.value.code == "engine_garbled"


def has_media(body: dict[str, Any]) -> bool:
    return bool(body["messages"][0]["content"][0]["input_audio"]["data"])


def test_a_clip_is_sent_once_for_many_questions(faulty: FaultyServer, engine: VllmEngine) -> None:
    faulty.reply = yes_or_no
    first, other = noise_input(1), noise_input(2)
    again = replace(first, text="Something else?")
    engine.score([first, again, other, again], ("yes", "no"))
    assert [has_media(body) for body in faulty.bodies] == [True, False, True, False]
    named = [[part.get("uuid") for part in b["messages"][0]["content"]] for b in faulty.bodies]
    assert named[0] == named[1] == named[3] != named[2]
    assert faulty.bodies[1]["messages"][0]["content"][1]["video_url"]["url"] == ""
    assert faulty.bodies[1]["messages"][0]["content"][2]["text"] == "Something else?"


def test_a_server_that_forgot_is_sent_the_clip_again(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    def forgetful(body: dict[str, Any]) -> tuple[int, Any]:
        if has_media(body):
            return yes_or_no(body)
        return 400, {"error": {"message": "Cache miss for audio at index 0 but data is not given"}}

    faulty.reply = forgetful
    for _ in range(PATIENCE + 4):
        (scores,) = engine.score([noise_input(1)], ("yes", "no"))
        assert scores.best == "yes"
    given_up = [has_media(body) for body in faulty.bodies[-3:]]
    assert given_up == [True, True, True], "a server that keeps nothing is not asked by name"
    assert [has_media(body) for body in faulty.bodies[:3]] == [True, False, True]


def test_after_a_restart_clips_are_sent_anew_and_then_named_again(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    faulty.reply = yes_or_no
    clips = [noise_input(seed) for seed in range(3 * PATIENCE)]
    engine.score(clips, ("yes", "no"))
    kept: set[str] = set()

    def restarted(body: dict[str, Any]) -> tuple[int, Any]:
        name = body["messages"][0]["content"][0]["uuid"]
        if not has_media(body) and name not in kept:
            return 400, {"error": {"message": "Cache miss for audio at index 0"}}
        kept.add(name)
        return yes_or_no(body)

    faulty.reply = restarted
    engine.score(clips, ("yes", "no"))
    faulty.bodies.clear()
    engine.score(clips, ("yes", "no"))
    assert not any(map(has_media, faulty.bodies))


def test_names_of_two_clients_have_nothing_in_common(
    faulty: FaultyServer, engine: VllmEngine
) -> None:
    faulty.reply = yes_or_no
    stranger = client_of(faulty.url)
    for one in (engine, stranger):
        one.score([noise_input(1)], ("yes", "no"))
    stranger.close()
    names = [body["messages"][0]["content"][0]["uuid"] for body in faulty.bodies]
    assert names[0] != names[1]


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

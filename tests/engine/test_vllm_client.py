"""What the client asks a model server, and what it makes of the answers.

A few lines of HTTP stand in for the server; the real one is asked in test_parity_vllm.
"""

import math
from dataclasses import replace
from typing import Any

import pytest
from faulty_server import FaultyServer, choice, client_of, number_of, yes_or_no
from noise_inputs import noise_input
from vocabularies import miniature_vocabulary

from mllm_affect.engine.answer_tree import LONGEST_ANSWER, MOST_ANSWERS, MOST_BEGINNINGS
from mllm_affect.engine.sent_media import PATIENCE
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling


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

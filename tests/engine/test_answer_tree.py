"""The probability of an answer is the one that constrained decoding would draw it with."""

import math
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_affect.engine.answer_tree import (
    MOST_ANSWERS,
    NEGLIGIBLE,
    Path,
    add_log,
    score_answers,
    spellings,
)
from mllm_affect.engine.vocabulary import END
from mllm_affect.errors import EngineError, UserError

Weigh = Callable[[bytes, bytes], float]


def toy_model(vocabulary: set[bytes], weigh: Weigh) -> Callable[..., Mapping[bytes, float]]:
    """Next-token log-probabilities over a whole vocabulary, whatever is allowed."""

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        weights = {token: weigh(b"".join(path), token) for token in vocabulary}
        total = sum(weights.values())
        return {token: math.log(weight / total) for token, weight in weights.items()}

    return next_tokens


def drawn_by_constrained_decoding(
    vocabulary: set[bytes], weigh: Weigh, answers: list[str]
) -> dict[str, float]:
    """The same by plain enumeration of every token sequence."""
    coded = [answer.encode() for answer in answers]
    found = dict.fromkeys(coded, 0.0)
    todo = [(b"", 1.0)]
    while todo:
        written, probability = todo.pop()
        allowed = {
            token: weigh(written, token)
            for token in vocabulary
            if (
                written in coded
                if token == END
                else any(a.startswith(written + token) for a in coded)
            )
        }
        for token, weight in allowed.items():
            share = probability * weight / sum(allowed.values())
            if token == END:
                found[written] += share
            else:
                todo.append((written + token, share))
    return {answer: found[answer.encode()] for answer in answers}


letters = st.text("ab", min_size=1, max_size=4)


@given(st.lists(letters, min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_equals_constrained_decoding(answers: list[str], random: object) -> None:
    table: dict[tuple[bytes, bytes], float] = {}

    def weigh(written: bytes, token: bytes) -> float:
        return table.setdefault((written, token), random.uniform(0.1, 1.0))  # type: ignore[attr-defined]

    vocabulary = {END, b"a", b"b", b"ab", b"ba", b"aab", b"x"}
    expected = drawn_by_constrained_decoding(vocabulary, weigh, answers)
    scores = score_answers(toy_model(vocabulary, weigh), answers)
    assert scores.probabilities == pytest.approx(expected, abs=1e-9)
    assert sum(scores.probabilities.values()) == pytest.approx(1.0)


def test_answers_with_their_own_first_tokens_take_one_request() -> None:
    asked: list[Path] = []

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        asked.append(path)
        return {b"yes": math.log(0.6), b"y": math.log(0.1), b"no": math.log(0.3)}

    scores = score_answers(next_tokens, ["yes", "no"])
    assert scores.probabilities == pytest.approx({"yes": 0.7, "no": 0.3})
    assert scores.best == "yes"
    assert asked == [()]


def test_every_spelling_of_an_answer_counts_for_it_in_one_request() -> None:
    asked: list[Path] = []
    told = {b"yes": 0.1, b"Yes": 0.3, b" Yes": 0.1, b"Y": 0.05, b"NO": 0.1, b"no": 0.1, b" n": 0.05}

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        asked.append(path)
        others = {b" ": math.log(0.1), b"maybe": math.log(0.1)}
        return {token: math.log(share) for token, share in told.items()} | others

    scores = score_answers(next_tokens, ["yes", "no"])
    assert scores.probabilities == pytest.approx({"yes": 0.55 / 0.8, "no": 0.25 / 0.8})
    assert asked == [()]


def test_a_spelling_that_two_answers_could_claim_counts_for_neither() -> None:
    assert spellings(["a", "A"]) == {"a": "a", "A": "A"} | {" a": "a"}
    assert spellings(["Ab", "AB"])[" Ab"] == "Ab"
    assert " AB" not in spellings(["Ab", "AB"])
    many = [f"w{n}" for n in range(9)]
    assert spellings(many) == {answer: answer for answer in many}


def test_a_branch_that_hardly_counts_is_not_asked_about() -> None:
    asked: list[Path] = []

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        asked.append(path)
        return {b"sad": 0.0, b"s": math.log(NEGLIGIBLE / 2)}

    scores = score_answers(next_tokens, ["sad", "surprised"])
    assert asked == [()]
    assert scores.probabilities["surprised"] == pytest.approx(NEGLIGIBLE / 4, rel=1e-3)


def test_the_allowed_tokens_may_be_improbable_altogether() -> None:
    scores = score_answers(lambda w, e: {b"yes": -2000.0, b"no": -2001.0, b"x": 0.0}, ["yes", "no"])
    assert scores.log_probabilities["yes"] - scores.log_probabilities["no"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "answers",
    [["yes"], ["a", "a"], ["", "a"], [" a", "b"], [str(n) for n in range(MOST_ANSWERS + 1)]],
)
def test_answer_spaces_that_cannot_be_scored(answers: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        score_answers(lambda w, e: {}, answers)
    assert caught.value.code == "bad_answers"


def test_no_allowed_token_is_an_engine_fault() -> None:
    with pytest.raises(EngineError, match="no probability"):
        score_answers(lambda w, e: {b"x": 0.0}, ["yes", "no"])


def test_answers_may_part_inside_a_letter() -> None:
    asked: list[Path] = []

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        asked.append(path)
        if not path:
            return {"é".encode()[:1]: 0.0}
        return {"é".encode()[1:]: math.log(0.8), "è".encode()[1:]: math.log(0.2)}

    scores = score_answers(next_tokens, ["é", "è"])
    assert scores.probabilities == pytest.approx({"é": 0.8, "è": 0.2})
    assert asked == [(), ("é".encode()[:1],)]


def test_each_beginning_is_asked_about_once_after_its_most_probable_tokens() -> None:
    asked: list[Path] = []

    def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
        asked.append(path)
        ways = {
            (): {b"A": math.log(0.9), b"AU": math.log(0.1)},
            (b"A",): {b"U": 0.0},
            (b"A", b"U"): {b"1": math.log(0.7), b"2": math.log(0.3)},
        }
        return ways[path]

    scores = score_answers(next_tokens, ["AU1", "AU2"])
    assert scores.probabilities == pytest.approx({"AU1": 0.7, "AU2": 0.3})
    assert asked == [(), (b"A",), (b"A", b"U")]


@given(st.floats(-50, 0), st.floats(-50, 0))
def test_add_log(one: float, other: float) -> None:
    assert math.exp(add_log(one, other)) == pytest.approx(math.exp(one) + math.exp(other))

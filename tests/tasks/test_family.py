"""Families of tasks: several kinds of question, each with its answer space."""

import pytest

from mllm_affect.data.megc.answers import ONE_OF
from mllm_affect.data.megc.questions import TEXTS, VQA, Kind, recognise
from mllm_affect.data.megc.vocabulary import ACTION_UNITS, FINE_IN_TEST
from mllm_affect.errors import UserError
from mllm_affect.media.sampling.policy import MotionPeak
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.prompts import (
    load_family,
    load_task,
    shipped_family_ids,
    shipped_task_ids,
)


def test_families_are_apart_from_tasks() -> None:
    assert shipped_family_ids() == ("me_lvqa", "me_vqa")
    assert not {"me_lvqa", "me_vqa"} & set(shipped_task_ids())
    with pytest.raises(UserError) as caught:
        load_family("ah")
    assert caught.value.code == "unknown_task"


@pytest.mark.parametrize("name", ["me_vqa", "me_lvqa"])
def test_the_challenges_questions_and_words_are_its_own(name: str) -> None:
    family = load_family(name)
    known = {kind.value: kind for kind in Kind}
    for kind, prompt in family.kinds.items():
        if kind not in known:
            continue
        assert prompt.question == TEXTS[known[kind]][0]
        if known[kind] in ONE_OF and known[kind] is not Kind.fine:
            assert prompt.answers == ONE_OF[known[kind]]
    if name == "me_vqa":
        assert family.kinds["fine"].answers == FINE_IN_TEST
        assert family.kinds["unit"].answers == tuple(ACTION_UNITS)
        assert {known[kind] for kind in family.kinds} <= VQA


def test_expressions_under_half_a_second_are_asked_about_at_native_rate() -> None:
    policy = load_task("me_vqa-coarse").sampling.policy
    assert policy == MotionPeak(count=16, rate=30, align="face")
    assert policy.count / policy.rate >= 0.5
    scan = load_family("me_lvqa").scan
    assert scan.rate * 0.25 >= 3, "three frames of a quarter of a second"
    assert scan.window_s > 0.5, "a micro-expression has calm beside it"


def test_a_kind_is_a_task_with_its_own_question_and_hash() -> None:
    family = load_family("me_vqa")
    dimpler, jaw = (family.task("unit_shown", unit=name) for name in ("dimpler", "jaw drop"))
    assert recognise(dimpler.question) is not None
    assert (dimpler.id, dimpler.answers, dimpler.positive) == (
        "me_vqa-unit_shown", ("yes", "no"), "yes",
    )  # fmt: skip
    assert dimpler.prompt_hash != jaw.prompt_hash
    assert load_task("me_vqa-coarse") == family.task("coarse")
    for name in ("me_vqa-nosuch", "me_vqa", "nosuch-coarse"):
        with pytest.raises(UserError) as caught:
            load_task(name)
        assert caught.value.code == "unknown_task"


def test_a_family_whose_kind_is_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two answers"):
        Family.model_validate({"id": "f", "kinds": {"a": {"question": "Why?", "answers": ["x"]}}})

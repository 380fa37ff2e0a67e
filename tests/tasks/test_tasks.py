"""Prompt files are versioned contracts: what they hold, what is refused, what changes the hash."""

from pathlib import Path

import numpy as np
import pytest

from mllm_affect.errors import UserError
from mllm_affect.media.sampling.policy import FixedCount, Uniform
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.prompts import load_task, parse_task, question_task, shipped_task_ids
from mllm_affect.tasks.task import Task

FROZEN_HASHES = {
    "ah": "89319bd001ccddc7ae883ebd1c4be4554e9a10d00978186c5bbe2a4d0b5daccb",
    "ah_context": "fd6a8bccebe72a649542646e5accced0f2218c9f38a6e3651c18602dfebc1b93",
    "ah_demo": "49907e193592b7b7611ef066a64cc73e5877d8aae44604d50dc2dafd14634d43",
}


def test_every_shipped_prompt_loads_and_is_named_like_its_file() -> None:
    assert set(shipped_task_ids()) >= {"ah", "ah_demo"}
    for name in shipped_task_ids():
        assert load_task(name).id == name


@pytest.mark.parametrize("name", sorted(FROZEN_HASHES))
def test_shipped_wording_changes_only_with_its_version(name: str) -> None:
    """A checkpoint stores the hash of the prompt it was trained with; a silent edit orphans it."""
    assert load_task(name).prompt_hash == FROZEN_HASHES[name]


def test_hash_sees_question_answers_and_version_but_not_sampling() -> None:
    task = load_task("ah")
    assert task.model_copy(update={"question": "Another?"}).prompt_hash != task.prompt_hash
    assert task.model_copy(update={"answers": ("no", "yes")}).prompt_hash != task.prompt_hash
    assert task.model_copy(update={"version": 2}).prompt_hash != task.prompt_hash
    assert task.model_copy(update={"sampling": Sampling(fps=9)}).prompt_hash == task.prompt_hash


def test_unknown_task_names_those_that_exist() -> None:
    with pytest.raises(UserError, match="ah_demo") as caught:
        load_task("anger")
    assert caught.value.code == "unknown_task"


def test_missing_prompt_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml"):
        load_task(str(tmp_path / "mine.yaml"))


def test_prompt_file_of_the_user_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gaze.yaml"
    path.write_text('id: gaze\nquestion: "Left or right?"\nanswers: [left, right]\n')
    task = load_task(str(path))
    assert (task.id, task.answers, task.positive) == ("gaze", ("left", "right"), None)


@pytest.mark.parametrize(
    "text",
    [
        "id: x\nquestion: q\nanswers: [yes_it_is]\n",
        "id: x\nquestion: q\nanswers: [a, a]\n",
        "id: x\nquestion: q\nanswers: [a, b]\npositive: c\n",
        "id: x\nquestion: ''\n",
        "id: x\nquestion: q\ntemperature: 1\n",
        "id: x\nquestion: q\nsampling: {policy: {kind: guess}}\n",
        "id: x\nquestion: q\nsampling: {policy: {count: 8}}\n",
        "id: x\nquestion: q\nsampling: {policy: {kind: fixed_count, rate: 8}}\n",
        "id: 'Bad Id'\nquestion: q\n",
        "id: [",
        "!!python/object/apply:os.getcwd []",
        "- a list\n",
    ],
)
def test_unusable_prompt_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml") as caught:
        parse_task(text, where="mine.yaml")
    assert caught.value.code == "bad_prompt_file"


def test_a_prompt_says_which_frames_are_chosen() -> None:
    head = "id: x\nquestion: q\nsampling: "
    plain = parse_task(head + "{fps: 4.0, max_pixels: 4096}", where="here")
    assert plain.sampling == Sampling(4.0, 4096, Uniform())
    few = parse_task(head + "{policy: {kind: fixed_count, count: 6}}", where="here")
    assert few.sampling == Sampling(policy=FixedCount(6))
    assert parse_task(few.model_dump_json(), where="here") == few
    with pytest.raises(UserError, match="count is 1") as caught:
        parse_task(head + "{policy: {kind: motion_peak, count: 1}}", where="here")
    assert caught.value.code == "bad_sampling"


def test_the_documented_prompt_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs/prompts.md").read_text(encoding="utf-8")
    example = page.split("```yaml")[1].split("```")[0]
    assert parse_task(example, where="docs/prompts.md").sampling.policy == FixedCount(8)


def test_same_question_gives_the_same_task_id() -> None:
    assert question_task("Is she smiling? ").id == question_task("Is she smiling?").id
    assert question_task("a?", ("x", "y")).id != question_task("a?").id
    assert question_task("a?", ("x", "y")).positive == "x"


@pytest.mark.parametrize(("question", "answers"), [("  ", ()), ("a?", ("x",)), ("a?", ("x", "x"))])
def test_question_that_cannot_be_asked(question: str, answers: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        question_task(question, answers)
    assert caught.value.code == "bad_question"


def test_tasks_cannot_be_changed_in_place() -> None:
    task = load_task("ah")
    with pytest.raises(ValueError, match="frozen"):
        task.question = "Another?"  # type: ignore[misc]


def test_model_input_carries_the_clip_unchanged() -> None:
    segment = Segment("0" * 64, 3, 15.0, 16.0, 375, 25, has_audio=True)
    frames_THWC = np.arange(2 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 32, 3)
    audio_S = np.arange(16_000, dtype=np.int16)
    clip = Clip(segment, Sampling(fps=4.0), frames_THWC, np.array([15.0, 15.25]), audio_S)
    task = Task(id="x", question="Q?")
    made = model_input(clip, task)
    assert made.frames_THWC is frames_THWC
    assert made.audio_S is audio_S
    assert (made.text, made.fps, made.segment) == ("Q?", 4.0, segment)
    assert (made.task_id, made.prompt_hash) == ("x", task.prompt_hash)

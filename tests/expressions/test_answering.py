"""One question about one video gives the answer that a whole question file would."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.megc.predicting import PredictionPlan, predict
from eval.megc.predictions import read_predicted
from mllm_affect import pipeline
from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import UserError
from mllm_affect.expressions.answering import answer_video
from mllm_affect.expressions.questions import question_of
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.prompts import load_task

PROFILE = ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096), note="A toy.")
ASKED = {
    "vqa": [
        Asked(Kind.coarse), Asked(Kind.fine), Asked(Kind.unit), Asked(Kind.units),
        Asked(Kind.unit_shown, unit="dimpler"), Asked(Kind.unit_side, unit="dimpler"),
        Asked(Kind.joint_unit), Asked(Kind.joint_units), Asked(Kind.analysis),
    ],
    "lvqa": [
        Asked(Kind.count_all), Asked(Kind.count_micro), Asked(Kind.count_macro),
        Asked(Kind.distinct_units), Asked(Kind.event_type, number=2),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of noise, seen and heard."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (3 * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("asked") / "clip.mp4"
    write_video(frames, random.normal(0, 3000, 3 * 16_000).astype(np.int16), path)
    return path


@pytest.mark.parametrize("task", ["vqa", "lvqa"])
def test_every_kind_of_question_is_answered_as_in_a_question_file(
    video: Path, tmp_path: Path, task: str
) -> None:
    texts = [word(asked) for asked in ASKED[task]]
    rows = []
    for number, text in enumerate(texts):  # one question per clip, as one request asks one
        (tmp_path / f"clip{number}.mp4").symlink_to(video)
        rows.append(
            {"video_id": f"{number}_1", "video": f"clip{number}", "question": text, "answer": ""}
        )
    questions = tmp_path / f"me_{task}_casme3_test_to_answer.jsonl"
    questions.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    plan = PredictionPlan(
        "vqa" if task == "vqa" else "lvqa", (questions,), tmp_path, tmp_path / "out"
    )
    done = predict(plan, Viewer(EchoEngine(), PROFILE, trusted=True), {})
    in_file = [str(row.answer) for row in read_predicted([done.path]).values()]
    asked = [
        answer_video(video, question_of(f"me_{task}", text), EchoEngine(), PROFILE, trusted=True)
        for text in texts
    ]
    assert [answer.answer for answer in asked] == [
        "" if answer == "None" else answer for answer in in_file
    ]


def test_an_answer_says_what_it_rests_on(video: Path) -> None:
    coarse = answer_video(
        video, question_of("me_vqa", word(Asked(Kind.coarse))), EchoEngine(), PROFILE, trusted=True
    )
    (clip,) = coarse.segments
    assert (clip.start_s, clip.end_s) == pytest.approx((0.0, 3.0), abs=0.05)
    assert sum(coarse.probabilities.values()) == pytest.approx(1.0)
    assert coarse.pooling == "profile"
    assert [remark.code for remark in coarse.warnings] == ["model_qwen3_omni"]
    text = word(Asked(Kind.count_all))
    count = answer_video(video, question_of("me_lvqa", text), EchoEngine(), PROFILE, trusted=True)
    assert count.answer == str(len(count.segments))
    assert all(0.5 <= max(e.probabilities.values()) <= 1.0 for e in count.segments)


def test_any_other_task_goes_through_the_pipeline(video: Path) -> None:
    task = load_task("ah")
    here = answer_video(video, task, EchoEngine(), PROFILE, trusted=True).as_dict()
    there = pipeline.answer_video(video, task, EchoEngine(), PROFILE, trusted=True).as_dict()
    assert here | {"timings_s": 0} == there | {"timings_s": 0}


def test_a_checkpoint_that_knows_other_prompts_is_refused(video: Path) -> None:
    learned = ModelProfile(prompt_hashes={"me_vqa-fine": "0" * 64})
    task = question_of("me_vqa", word(Asked(Kind.coarse)))
    with pytest.raises(UserError) as raised:
        answer_video(video, task, EchoEngine(), learned, trusted=True)
    assert raised.value.code == "other_prompt"
    assert answer_video(video, task, EchoEngine(), learned, force=True, trusted=True).answer


@pytest.mark.parametrize(
    ("family", "text", "code"),
    [
        ("me_vqa", "What is it?", "unknown_question"),
        ("me_vqa", word(Asked(Kind.count_all)), "unknown_question"),
        ("me_lvqa", word(Asked(Kind.coarse)), "unknown_question"),
        ("ah", word(Asked(Kind.coarse)), "unknown_task"),
    ],
)
def test_only_the_challenges_own_words_are_such_a_question(
    family: str, text: str, code: str
) -> None:
    with pytest.raises(UserError) as raised:
        question_of(family, text)
    assert raised.value.code == code

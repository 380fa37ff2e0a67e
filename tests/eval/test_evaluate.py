"""Every labelled video ends up in the figures: asked, refused, or already answered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eval.predictions import PredictionsLog, read_predictions
from eval.run import check_labels, choose, predict
from mllm_affect.data.examples import Example
from mllm_affect.errors import EngineError, UserError
from mllm_affect.tasks.prompts import load_task, question_task
from mllm_affect.tasks.video_context import VideoContext

TASK = load_task("ah")


def example(video: str, answer: str = "yes", split: str = "test") -> Example:
    return Example(video=video, participant=video[0], split=split, labels={"ah": answer})


EXAMPLES = [example("a.mp4"), example("b.mp4", "no"), example("c.mp4", split="train")]


def yes_to_all(video: Path, context: VideoContext) -> Mapping[str, Any]:
    probabilities = {"yes": 0.7, "no": 0.3}
    segment = {
        "index": 0, "start_s": 0.0, "end_s": 4.0, "answer": "yes", "probabilities": probabilities,
    }  # fmt: skip
    return {"answer": "yes", "probabilities": probabilities, "segments": [segment]}


def test_a_split_is_chosen_in_file_order_up_to_the_limit() -> None:
    assert [item.video for item in choose(EXAMPLES, "test", "ah")] == ["a.mp4", "b.mp4"]
    assert [item.video for item in choose(EXAMPLES, None, "ah")] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [item.video for item in choose(EXAMPLES, None, "ah", limit=1)] == ["a.mp4"]


@pytest.mark.parametrize(("split", "label"), [("held_out", "ah"), ("test", "gaze")])
def test_nothing_to_ask_says_what_there_is(split: str, label: str) -> None:
    with pytest.raises(UserError) as caught:
        choose(EXAMPLES, split, label)
    assert "splits: test, train; labels: ah" in caught.value.sentence


def test_labels_must_be_answers_of_the_task() -> None:
    with pytest.raises(UserError, match="maybe"):
        check_labels([example("a.mp4", "maybe")], "ah", TASK)
    with pytest.raises(UserError, match="no fixed answers"):
        check_labels(EXAMPLES, "ah", question_task("What is seen?"))


def test_predictions_keep_labels_answers_and_segments(tmp_path: Path) -> None:
    log = PredictionsLog(tmp_path, {})
    rows = list(predict(EXAMPLES[:2], tmp_path, TASK, "ah", yes_to_all, log))
    assert [(row.label, row.answer, row.right) for row in rows] == [
        ("yes", "yes", True),
        ("no", "yes", False),
    ]
    assert rows[0].segments[0].end_s == 4.0
    assert read_predictions(log.path) == rows


def test_a_video_that_cannot_be_used_counts_as_wrong_with_its_reason(tmp_path: Path) -> None:
    def refuse(video: Path, context: VideoContext) -> Mapping[str, Any]:
        raise UserError("no_frames", f"{video.name} has no frames.")

    (row,) = predict(EXAMPLES[:1], tmp_path, TASK, "ah", refuse, PredictionsLog(tmp_path, {}))
    assert (row.answer, row.right) == (None, False)
    assert row.problem == "no_frames: a.mp4 has no frames."


def test_a_refused_key_stops_the_run_instead_of_counting_as_wrong(tmp_path: Path) -> None:
    def refuse(video: Path, context: VideoContext) -> Mapping[str, Any]:
        raise UserError("unauthorized", "The key is wrong.")

    log = PredictionsLog(tmp_path, {})
    with pytest.raises(UserError, match="key"):
        list(predict(EXAMPLES[:1], tmp_path, TASK, "ah", refuse, log))
    assert log.done == {}


def test_an_answer_outside_the_answer_space_is_unusable(tmp_path: Path) -> None:
    def mumble(video: Path, context: VideoContext) -> Mapping[str, Any]:
        return {**yes_to_all(video, context), "answer": "perhaps"}

    (row,) = predict(EXAMPLES[:1], tmp_path, TASK, "ah", mumble, PredictionsLog(tmp_path, {}))
    assert row.unparsed
    assert "perhaps" in row.problem


def test_an_engine_that_is_away_stops_the_run_and_a_second_run_goes_on(tmp_path: Path) -> None:
    asked: list[str] = []

    def falls_over(video: Path, context: VideoContext) -> Mapping[str, Any]:
        asked.append(video.name)
        if video.name == "b.mp4" and asked.count("b.mp4") == 1:
            raise EngineError("engine_away", "The engine is away.")
        return yes_to_all(video, context)

    chosen = choose(EXAMPLES, "test", "ah")
    with pytest.raises(EngineError):
        list(predict(chosen, tmp_path, TASK, "ah", falls_over, PredictionsLog(tmp_path, {})))
    rows = list(predict(chosen, tmp_path, TASK, "ah", falls_over, PredictionsLog(tmp_path, {})))
    assert asked == ["a.mp4", "b.mp4", "b.mp4"]
    assert [row.video for row in rows] == ["a.mp4", "b.mp4"]
    assert not any(row.unparsed for row in rows)

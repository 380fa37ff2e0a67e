"""No example that is due may be left out, and nothing else may slip in."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_predictions import prediction

from eval import measure
from eval.joining import join
from eval.predictions import write_predictions
from eval.summary import summarise
from eval.topics import by_topic
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.errors import UserError


def example(video: str, answer: str, split: str = "test", topic: str | None = None) -> Example:
    return Example(
        video=video, participant=video[0], split=split, labels={"ah": answer}, topic=topic
    )


EXAMPLES = [
    example("a1.mp4", "yes", topic="4"),
    example("b1.mp4", "no", topic="1"),
    example("c1.mp4", "yes", "train"),
    example("b2.mp4", "no", topic="4"),
]
ROWS = [
    prediction("b1.mp4", "no", 0.2),
    prediction("a1.mp4", "yes", 0.7),
    prediction("c1.mp4", "yes", 0.9),
]


def test_an_example_without_a_prediction_counts_as_wrong() -> None:
    rows = join(ROWS, EXAMPLES, "test", "ah")
    assert [row.video for row in rows] == ["a1.mp4", "b1.mp4", "b2.mp4"]
    assert [row.missing for row in rows] == [False, False, True]
    assert [row.topic for row in rows] == ["4", "1", "4"]
    assert [row.participant for row in rows] == ["a", "b", "b"]
    summary = summarise(rows, resamples=20)
    assert (summary.accuracy, summary.missing) == (pytest.approx(2 / 3), 1)


def test_every_split_is_due_when_none_is_named() -> None:
    assert [row.missing for row in join(ROWS, EXAMPLES, None, "ah")] == [False, False, False, True]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([*ROWS, prediction("z.mp4", "no", 0.1)], "unknown_videos"),
        ([prediction("a1.mp4", "no", 0.1)], "other_labels"),
        ([], "no_predictions"),
        ([*ROWS, prediction("a1.mp4", "yes", 0.1, task="gaze")], "mixed_tasks"),
    ],
)
def test_what_does_not_belong_is_refused(rows: list, code: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError) as caught:
        join(rows, EXAMPLES, "test", "ah")
    assert caught.value.code == code


def test_a_file_is_measured_beside_its_examples(tmp_path: Path) -> None:
    write_examples(tmp_path, EXAMPLES)
    write_predictions(tmp_path / "p.jsonl", ROWS)
    found = measure.from_file(tmp_path / "p.jsonl", tmp_path, "test")
    assert (found.summary.videos, found.summary.missing) == (3, 1)
    assert found.settings["split"] == "test"
    assert measure.from_file(tmp_path / "p.jsonl").summary.videos == 3


def test_each_topic_has_its_own_figures() -> None:
    rows = join(ROWS, EXAMPLES, "test", "ah")
    one, four = by_topic(rows, resamples=20)
    assert (one.topic, one.videos, one.accuracy, one.positive_rate) == ("1", 1, 1.0, 0.0)
    assert (four.topic, four.videos, four.participants) == ("4", 2, 2)
    assert (four.accuracy, four.positive_rate, four.answered_rate) == (0.5, 0.5, 0.5)
    assert four.majority_macro_f1 == pytest.approx(1 / 3)
    assert by_topic(ROWS) == ()
    mixed = [*rows, replace(ROWS[2], topic=None)]
    assert [scores.topic for scores in by_topic(mixed, resamples=5)] == ["1", "4", "not known"]

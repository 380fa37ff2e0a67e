"""The predictions file: round trip, resumption, and refusing what does not fit."""

import json
from pathlib import Path

import pytest
from made_predictions import prediction

from eval.predictions import PredictionsLog, as_row, read_predictions, write_predictions
from mllm_affect.errors import UserError


def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [prediction("a.mp4", "yes", 0.75), prediction("b.mp4", "no", None)]
    write_predictions(tmp_path / "p.jsonl", rows)
    assert read_predictions(tmp_path / "p.jsonl") == rows
    assert [row.unparsed for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{not json\n", "bad_predictions"),
        ('{"video": "a"}\n', "bad_predictions"),
        ("[]\n", "bad_predictions"),
        (json.dumps(as_row(prediction("a", "perhaps", 0.5))) + "\n", "bad_predictions"),
        ((json.dumps(as_row(prediction("a", "yes", 0.5))) + "\n") * 2, "bad_predictions"),
    ],
)
def test_unusable_files_are_named_with_their_line(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert caught.value.code == code
    assert "line" in caught.value.sentence


def test_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="evaluate"):
        read_predictions(tmp_path / "none.jsonl")


def test_a_stopped_run_goes_on_and_drops_the_line_cut_short(tmp_path: Path) -> None:
    settings = {"task": "ah", "model": "m", "limit": None}
    first = PredictionsLog(tmp_path, settings)
    first.append(prediction("a.mp4", "yes", 0.75))
    first.append(prediction("b.mp4", "no", 0.25))
    text = first.path.read_text()
    first.path.write_text(text[:-20])

    second = PredictionsLog(tmp_path, settings)
    assert list(second.done) == ["a.mp4"]
    second.append(prediction("b.mp4", "no", 0.25))
    assert [row.video for row in read_predictions(second.path)] == ["a.mp4", "b.mp4"]


def test_other_settings_never_mix_with_old_answers(tmp_path: Path) -> None:
    PredictionsLog(tmp_path, {"model": "one"}).append(prediction("a.mp4", "yes", 0.75))
    with pytest.raises(UserError, match="model") as caught:
        PredictionsLog(tmp_path, {"model": "two"})
    assert caught.value.code == "other_run"
    (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json"):
        PredictionsLog(tmp_path, {"model": "one"})

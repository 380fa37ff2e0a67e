"""Submission files must be right to the character; the table must lose no row."""

import csv
from pathlib import Path

import pytest
from made_predictions import prediction

from eval.exports.abaw_ah import Rows, probability_texts, submission_lines, write_submission
from eval.exports.matching import read_order
from eval.exports.table import write_table
from eval.predictions import Prediction
from mllm_affect.errors import UserError

ROWS = [prediction("x/b.mp4", "no", 0.123456789), prediction("x/a.mp4", "yes", 0.9)]
ORDER = ["x/a.mp4", "x/b.mp4"]
LABEL, PLAIN = Rows("label"), Rows("probability", spread=False)


def test_the_texts_of_every_six_decimal_probability_add_up_to_one() -> None:
    for count in range(0, 10**6 + 1):
        p0, p1 = f"{(10**6 - count) / 10**6:.6f}", f"{count / 10**6:.6f}"
        if float(p0) + float(p1) != 1.0:
            pytest.fail(f"{p0} + {p1}")
    assert probability_texts(1 / 3) == ("0.666667", "0.333333")
    assert probability_texts(1.0) == ("0.000000", "1.000000")
    with pytest.raises(ValueError, match="no probability"):
        probability_texts(1.5)


def test_both_forms_keep_the_organisers_order(tmp_path: Path) -> None:
    reference = tmp_path / "test.txt"
    reference.write_text("x/a.mp4,1,well, I\nx/b.mp4,0,um, no\n")
    assert write_submission([ROWS], reference, tmp_path / "trial-0.txt", LABEL) == 2
    assert (tmp_path / "trial-0.txt").read_text() == "x/a.mp4,1\nx/b.mp4,0\n"
    assert submission_lines(ROWS, ORDER, PLAIN) == (
        "x/a.mp4,0.100000,0.900000,1\nx/b.mp4,0.876543,0.123457,0\n"
    )


@pytest.mark.parametrize(
    ("rows", "order", "said"),
    [
        (ROWS, [*ORDER, "x/c.mp4"], "1 missing (x/c.mp4)"),
        (ROWS, ["x/a.mp4"], "1 not listed (x/b.mp4)"),
        ([prediction("x/A.mp4", "no", 0.5), ROWS[0]], ORDER, "x/A.mp4 instead of x/a.mp4"),
        ([ROWS[0], prediction("x/a.mp4", "no", None)], ORDER, "no usable answer (x/a.mp4)"),
        (
            [*ROWS, prediction("x/a.mp4", "no", 0.2, task="gaze")],
            ORDER,
            "1 more than once (x/a.mp4)",
        ),
    ],
)
def test_what_does_not_match_is_refused_by_name(
    rows: list[Prediction], order: list[str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        submission_lines(rows, order)
    assert said in caught.value.sentence


def test_a_refusal_leaves_the_old_file_alone(tmp_path: Path) -> None:
    reference, out = tmp_path / "test.txt", tmp_path / "trial-0.txt"
    reference.write_text("x/a.mp4\n")
    out.write_text("earlier\n")
    with pytest.raises(UserError):
        write_submission([ROWS], reference, out, LABEL)
    assert out.read_text() == "earlier\n"


@pytest.mark.parametrize("text", ["", "\n\n", "a.mp4,1\nb.mp4\na.mp4,0\n"])
def test_an_unusable_reference_is_refused(tmp_path: Path, text: str) -> None:
    reference = tmp_path / "test.txt"
    reference.write_text(text)
    with pytest.raises(UserError) as caught:
        read_order(reference)
    assert caught.value.code == "bad_reference"
    with pytest.raises(UserError):
        read_order(tmp_path / "none.txt")


def test_a_byte_order_mark_does_not_change_the_first_id(tmp_path: Path) -> None:
    reference = tmp_path / "test.txt"
    reference.write_bytes("\ufeffx/a.mp4,\r\nx/b.mp4,\r\n".encode())
    assert list(read_order(reference).ids) == ORDER


def test_tasks_without_what_the_form_needs_are_refused() -> None:
    free = Prediction(
        video="v", participant="p", split="", task="t", label="a", answer="a", classes=("a", "b")
    )
    with pytest.raises(UserError, match="no positive answer"):
        submission_lines([free], ["v"], LABEL)
    bare = Prediction(**{**free.__dict__, "positive": "a"})
    with pytest.raises(UserError, match="--form label"):
        submission_lines([bare], ["v"])
    assert submission_lines([bare], ["v"], LABEL) == "v,1\n"


def test_the_table_has_a_row_a_segment_and_keeps_videos_without_segments(tmp_path: Path) -> None:
    rows = [*ROWS, prediction("x/c.mp4", "no", None)]
    assert write_table(rows, tmp_path / "t.csv") == 5
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as stream:
        table = list(csv.DictReader(stream))
    assert [row["video"] for row in table] == ["x/b.mp4"] * 2 + ["x/a.mp4"] * 2 + ["x/c.mp4"]
    assert (table[1]["segment"], table[1]["start_s"], table[1]["end_s"]) == ("1", "5.0", "7.5")
    assert float(table[2]["p_yes"]) == 0.9
    assert (table[4]["video_answer"], table[4]["start_s"], table[4]["p_yes"]) == ("", "", "")

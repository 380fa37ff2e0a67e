"""Coding sheets, what they label, and what a check says when sheet, rows and folders disagree."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder, ClipState
from mllm_affect.data.megc.coding_sheets import LAYOUTS, Coded, read_sheet, read_units
from mllm_affect.data.megc.labels import (
    ClipLabel,
    EventLabel,
    PartlyCoded,
    VideoLabel,
    clip_labels,
    video_labels,
)
from mllm_affect.data.megc.layout import (
    frame_rate,
    is_megc,
    long_sheets,
    question_files,
    train_file,
    train_rows,
)
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word
from mllm_affect.data.megc.sheet_checks import check_sheet
from mllm_affect.errors import UserError

HEADING = "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units,Estimated Emotion\n"


def sheet(folder: Path, rows: str, name: str = "codes.csv") -> Path:
    path = folder / name
    path.write_text(HEADING + rows, encoding="utf-8")
    return path


def trained(asked: Asked, answer: object, clip: str = "c", subject: str = "6") -> Trained:
    text = word(asked)
    return Trained(1, "1", "samm", "i", subject, clip, text, recognise(text), answer)


def coded(
    onset: int | None, apex: int | None, offset: int | None, unread: tuple[str, ...] = ()
) -> Coded:
    return Coded(1, "samm", "006", "v", onset, apex, offset, ("dimpler",), unread, "14", "fear")


@pytest.mark.parametrize(
    ("cell", "units", "unread"),
    [
        ("12", ("lip corner puller",), ()),
        ("au12", ("lip corner puller",), ()),
        ("AUL12b", ("lip corner puller",), ()),
        ("12+12", ("lip corner puller",), ()),
        ("25/4", ("brow lowerer", "lips part"), ()),
        ("U4E", ("brow lowerer",), ()),
        ("T4 A4", ("brow lowerer",), ()),
        ("4F + 112", (), ("4F", "112")),
        ("0", (), ("0",)),
        (" 45 ", ("blink",), ()),
    ],
)
def test_sides_and_intensities_of_units_are_dropped(
    cell: str, units: tuple[str, ...], unread: tuple[str, ...]
) -> None:
    assert read_units(cell) == (units, unread)


def test_lines_without_subject_or_clip_are_passed_over_and_rows_numbered_as_seen(
    tmp_path: Path,
) -> None:
    path = tmp_path / "codes.csv"
    rows = ["made up;;;", "Subject;Filename;OnsetF;Emotion;Emotion", "s06;a;10;Joy;Fear"]
    rows += [";b;20;Joy", "s07;;30;Joy", "s08;d"]
    path.write_text("\n".join(rows), encoding="utf-8")
    first, last = read_sheet(path, LAYOUTS["smic"])
    assert (first.row, first.subject, first.clip) == (3, "s06", "a")
    assert (first.onset_frame, first.emotion) == (10, "joy")
    assert (last.row, last.clip, last.onset_frame, last.units) == (6, "d", None, ())
    path.write_text("\n".join(rows[:2]), encoding="utf-8")
    with pytest.raises(UserError, match="no clip below") as caught:
        read_sheet(path, LAYOUTS["smic"])
    assert caught.value.code == "bad_sheet"
    with pytest.raises(UserError, match="No coding sheet at"):
        read_sheet(tmp_path / "nowhere.csv", LAYOUTS["smic"])
    path.write_bytes(b"Subject,Filename\n\xff,b\n")
    with pytest.raises(UserError, match="not UTF-8"):
        read_sheet(path, LAYOUTS["smic"])


def test_workbooks_need_a_package_that_the_error_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "codes.xlsx"
    path.write_bytes(b"no workbook")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match="openpyxl; install mllm-affect") as caught:
        read_sheet(path, LAYOUTS["samm"])
    assert caught.value.code == "missing_package"


def test_frames_are_whole_numbers_or_unknown(tmp_path: Path) -> None:
    path = sheet(tmp_path, "6,a,10.0,11.5,x,4,Fear\n6,b,-1,/,0,4,Fear\n")
    first, second = read_sheet(path, LAYOUTS["samm"])
    assert (first.onset_frame, first.apex_frame, first.offset_frame) == (10, None, None)
    assert (second.onset_frame, second.apex_frame, second.offset_frame) == (None, None, 0)
    assert coded(3, 3, 3).duration_s(200.0) == 1 / 200
    assert coded(3, 3, None).duration_s(200.0) is None


def test_what_a_sheet_gets_wrong_is_told_by_row(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        path = tmp_path / f"clips/006/a/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    rows = "6,a,1,5,4,4+45+?,Fear\n6,b,1,2,3,14,Fear\n"
    asked = [trained(Asked(Kind.coarse), "negative", clip) for clip in ("a", "z", "y")]
    asked += [trained(Asked(Kind.count_all), 1, "long", subject="7")]
    finder, counts = ClipFinder(tmp_path / "clips"), Counter[str]()
    found = check_sheet("samm", sheet(tmp_path, rows), asked, finder, counts)
    assert [(one.code, one.where, one.sentence, one.serious) for one in found] == [
        ("unread_action_unit", "row 2", "?, blink is no action unit of the vocabulary", False),
        ("times_out_of_order", "row 2", "[1, 5, 4]", True),
        ("coded_frame_missing", "row 2", "a lacks the image of frame 5 (apex), 4 (offset)", False),
        ("not_coded", "samm/6/y", "is trained on but not in the sheet", False),
        ("not_coded", "samm/6/z", "is trained on but not in the sheet", False),
    ]
    assert counts == {"coded_clips": 2}
    found = check_sheet("long_samm", sheet(tmp_path, rows), asked, finder, counts)
    assert [(one.code, one.where) for one in found] == [
        ("unread_action_unit", "row 2"), ("times_out_of_order", "row 2"),
        ("coded_frame_missing", "row 2"), ("not_coded", "samm/7/long"),
    ]  # fmt: skip
    assert found[0].sentence == "? is no action unit with a known name and is not learned"
    assert found[2].sentence.endswith("4 (offset); training leaves the event out")
    assert counts == {"coded_clips": 4, "units_outside_the_25": 1}
    with pytest.raises(UserError, match="casme2, samm, smic, casme3"):
        check_sheet("mmew", sheet(tmp_path, rows), asked, None, counts)


def test_events_are_ordered_and_what_cannot_be_learned_is_counted() -> None:
    lines = [
        coded(30, 35, 40), coded(10, 25, 20), coded(50, 50, 50), coded(None, 5, 9, ("99", "?")),
        coded(70, None, None), coded(90, 85, 80),
    ]  # fmt: skip
    asked = [
        trained(Asked(Kind.count_all), 6, "v"),
        trained(Asked(Kind.count_all), 2, "uncoded"),
        trained(Asked(Kind.count_all), 0, "empty"),
        trained(Asked(Kind.count_micro), 2, "also empty"),
        trained(Asked(Kind.coarse), "negative", "short"),
    ]
    labels, left_out = video_labels(asked, lines)
    events = (
        EventLabel(10, None, 20, ("dimpler",)),
        EventLabel(30, 35, 40, ("dimpler",)),
        EventLabel(50, 50, 50, ("dimpler",)),
    )
    partly = (PartlyCoded(None, 9), PartlyCoded(70, None), PartlyCoded(80, 90))
    assert labels == [
        VideoLabel("samm", "6", "v", events, partly),
        VideoLabel("samm", "6", "empty", ()),
        VideoLabel("samm", "6", "also empty", ()),
    ]
    assert {label.person for label in labels} == {"samm/6"}
    assert left_out == {
        "action unit without a known name": 2,
        "event without onset or offset": 2,
        "event with times out of order": 1,
        "video without coded events": 1,
    }


def test_a_clips_truth_is_what_its_rows_agree_on() -> None:
    side = Asked(Kind.unit_side, unit="dimpler")
    rows = [
        trained(Asked(Kind.fine), "fear", "a"),
        trained(Asked(Kind.units), "lips part, dimpler", "a"),
        trained(side, "left", "a"),
        trained(Asked(Kind.coarse), "surprise", "b"),
        trained(Asked(Kind.fine), "fear", "b"),
        trained(Asked(Kind.coarse), "happy", "c"),
        trained(side, "right", "d"),
        trained(Asked(Kind.unit), "dimpler", "e"),
        trained(Asked(Kind.unit), "lips part", "e"),
        trained(Asked(Kind.count_all), 2, "long"),
    ]
    labels, left_out = clip_labels(rows)
    assert labels == [
        ClipLabel("samm", "6", "a", ("dimpler", "lips part"), "fear", "negative",
                  {"dimpler": "left"}),
    ]  # fmt: skip
    assert labels[0].person == "samm/6"
    assert left_out == {"rows contradict each other": 2, "neither class nor action units": 2}


@pytest.mark.parametrize(
    ("text", "rate"),
    [("25", 25.0), (" 29.97\n", 29.97), ("1000", 1000.0), ("0", None), ("1000.5", None),
     ("-3", None), ("fast", None), ("nan", None)],
)  # fmt: skip
def test_a_folder_states_its_frame_rate_or_has_its_datasets(
    tmp_path: Path, text: str, rate: float | None
) -> None:
    images = (tmp_path / "1.jpg", tmp_path / "2.jpg")
    files = ClipFiles("a", ClipState.frames, tmp_path, images)
    assert frame_rate(files, " SAMM ") == 200.0
    with pytest.raises(UserError) as caught:
        frame_rate(files, "mmew")
    assert caught.value.code == "unknown_dataset"
    (tmp_path / "fps.txt").write_text(text)
    if rate is None:
        with pytest.raises(UserError) as caught:
            frame_rate(files, "mmew")
        assert caught.value.code == "bad_rate"
    else:
        assert frame_rate(files, "mmew") == rate


def test_files_of_a_folder_are_found_by_task(tmp_path: Path) -> None:
    assert not is_megc(tmp_path)
    train = tmp_path / "train"
    train.mkdir()
    (train / "notes.jsonl").touch()
    assert not is_megc(tmp_path)
    with pytest.raises(UserError, match="me_vqa_") as caught:
        train_rows(tmp_path, "vqa")
    assert caught.value.code == "no_train_file"
    (train / "me_vqa_all.jsonl").touch()
    assert is_megc(tmp_path)
    assert train_file(train, "vqa") == train / "me_vqa_all.jsonl"
    assert train_file(train / "x.jsonl", "vqa") == train / "x.jsonl"
    assert train_file(None, "vqa") is None
    (train / "me_vqa_more.jsonl").touch()
    with pytest.raises(UserError, match="holds 2 files"):
        train_file(train, "vqa")
    with pytest.raises(UserError, match="holds 0 files"):
        train_file(train, "lvqa")
    with pytest.raises(UserError) as caught:
        question_files([train], "vqa")
    assert caught.value.code == "no_questions"
    asked = [tmp_path / f"me_vqa_{name}_test_to_answer.jsonl" for name in ("casme3", "samm")]
    for path in asked:
        path.touch()
    assert question_files([train / "one.jsonl", tmp_path], "vqa") == [train / "one.jsonl", *asked]
    with pytest.raises(UserError) as caught:
        long_sheets(tmp_path)
    assert caught.value.code == "no_sheet"
    (tmp_path / "sheets").mkdir()
    path = sheet(tmp_path / "sheets", "6,a,1,2,3,14,Fear\n", "long_samm.csv")
    paths, lines = long_sheets(tmp_path)
    assert (paths, [line.clip for line in lines]) == ([path], ["a"])

"""Question files come back byte for byte; train files, sheets, clip folders and folds are read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm_affect.data.megc.clip_folders import (
    ClipFiles,
    ClipFinder,
    ClipState,
    frame_number,
    number_gaps,
)
from mllm_affect.data.megc.coding_sheets import LAYOUTS, read_sheet, read_units
from mllm_affect.data.megc.folds import leaks, leave_one_dataset_out, leave_one_subject_out, person
from mllm_affect.data.megc.question_files import (
    read_question_file,
    read_train_file,
    unknown_questions,
)
from mllm_affect.data.megc.validating import validate
from mllm_affect.errors import UserError

COARSE, FINE = "What is the coarse expression class?", "What is the fine-grained expression class?"
NAME = "me_vqa_samm_v2_test_to_answer.jsonl"

COMPACT = '{"video_id":"m1","video":"MADE-1","question":"%s","answer":""}'
SPACED = (
    '{ "note": "\\u00e9 \\"}\\"", "answer" : null, "video_id": 7, "question": "%s", "video": "é" }'
)
NESTED = '{"extra":{"answer":"keep"},"video_id":"m1","video":"v","question":"%s","answer":[1, 2]}'
WITHOUT = '{"video_id": "m1", "video": "v", "question": "%s"}'


def as_file(folder: Path, content: str, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_only_the_answers_change(tmp_path: Path, ending: str, final: bool) -> None:
    lines = [form % text for form in (COMPACT, SPACED, NESTED) for text in (COARSE, FINE)]
    content = ending.join(lines) + (ending if final else "")
    read = read_question_file(as_file(tmp_path, content))
    assert read.submission_name == "me_vqa_samm_v2_test_pred.jsonl"
    assert (read.task, read.dataset, read.version) == ("vqa", "samm", 2)
    answered = read.answered(["negative"] * 6).decode()
    wanted = content.replace('"answer":""', '"answer":"negative"')
    wanted = wanted.replace('"answer" : null', '"answer" : "negative"')
    wanted = wanted.replace('"answer":[1, 2]', '"answer":"negative"')
    assert answered == wanted


def test_a_file_without_answers_gets_the_key_last_and_blank_lines_stay(tmp_path: Path) -> None:
    content = "\n" + WITHOUT % COARSE + "\n\n" + (WITHOUT % FINE).replace(" ", "", 3) + "\n \n"
    read = read_question_file(as_file(tmp_path, content))
    text = read.answered(["positive", 2]).decode()
    assert text.count("\n") == content.count("\n")
    first, second = [line for line in text.split("\n") if line.strip()]
    assert first == (WITHOUT % COARSE)[:-1] + ', "answer": "positive"}'
    assert list(json.loads(second).items())[-1] == ("answer", 2)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(st.text(), values, max_size=4),
    st.permutations(["video_id", "video", "question", "answer"]),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", "\t: ")]),
    values,
)
def test_any_object_keeps_its_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    extra: dict[str, object],
    keys: list[str],
    ascii_only: bool,
    separators: tuple[str, str],
    old: object,
) -> None:
    row = {**extra, "video_id": "m1", "video": "v", "question": COARSE, "answer": old}
    row = {key: row[key] for key in [*(k for k in extra if k not in keys), *keys]}
    before = json.dumps(row, ensure_ascii=ascii_only, separators=separators)
    try:
        before.encode()
    except UnicodeEncodeError:
        return
    after = json.dumps(row | {"answer": "surprise"}, ensure_ascii=ascii_only, separators=separators)
    path = as_file(tmp_path_factory.getbasetemp(), before)
    assert read_question_file(path).answered(["surprise"]).decode() == after


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "bad_question_file"),
        ("[1]", "bad_question_file"),
        ('{"video_id": 1', "bad_question_file"),
        (COMPACT % COARSE + " x", "bad_question_file"),
        ('{"video_id": 1, "video": "v"}', "bad_question_file"),
        ('{"video_id":1,"video":"v","question":"q","answer":"","answer":""}', "bad_question_file"),
        ('{"video_id":1,"video":"v","question":null,"answer":""}', "bad_question_file"),
    ],
)
def test_a_line_that_is_no_question_is_refused(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(UserError) as caught:
        read_question_file(as_file(tmp_path, content))
    assert caught.value.code == code


def test_task_and_set_come_from_the_name(tmp_path: Path) -> None:
    for name, told in {
        "me_vqa_casme3_test_to_answer.jsonl": ("vqa", "casme3", 1),
        "me_lvqa_samm_test_to_answer.jsonl": ("lvqa", "samm", 1),
        "me_vqa_samm_v2_test_pred.jsonl": ("vqa", "samm", 2),
    }.items():
        read = read_question_file(as_file(tmp_path, COMPACT % COARSE, name))
        assert (read.task, read.dataset, read.version) == told
    for name in ("questions.jsonl", "me_vqa_samm_test.jsonl"):
        with pytest.raises(UserError, match=r"me_vqa_samm_test_to_answer\.jsonl"):
            read_question_file(as_file(tmp_path, COMPACT % COARSE, name))
    with pytest.raises(UserError, match="ME-VQA"):
        read_question_file(as_file(tmp_path, COMPACT % COARSE), "lvqa")


def train_rows(people: list[tuple[str, str]]) -> str:
    return "\n".join(
        json.dumps(
            {
                "id": place, "dataset": dataset, "image_id": f"i{place}", "subject": subject,
                "filename": f"clip_{place}", "question": COARSE, "answer": "negative",
            }
        )
        for place, (dataset, subject) in enumerate(people)
    )  # fmt: skip


PEOPLE = [("samm", "6"), ("samm", "006"), ("smic", "s06"), ("casme2", "sub01"), ("samm", "11")]


def test_folds_leave_one_out_and_nobody_is_on_both_sides(tmp_path: Path) -> None:
    rows = read_train_file(as_file(tmp_path, train_rows(PEOPLE), "train.jsonl"))
    folds = list(leave_one_subject_out(rows))
    assert [fold.name for fold in folds] == ["samm/6", "smic/s6", "casme2/sub1", "samm/11"]
    assert [len(fold.test) for fold in folds] == [2, 1, 1, 1]
    for fold in [*folds, *leave_one_dataset_out(rows)]:
        assert len(fold.train) + len(fold.test) == len(rows)
        sides = {
            name: [person(row.dataset, row.subject) for row in side]
            for name, side in (("train", fold.train), ("test", fold.test))
        }
        assert leaks(sides) == {}
    assert [fold.name for fold in leave_one_dataset_out(rows)] == ["samm", "smic", "casme2"]
    assert leaks({"a": ["samm/6", "samm/7"], "b": ["samm/6"]}) == {"samm/6": ("a", "b")}
    with pytest.raises(UserError) as caught:
        list(leave_one_dataset_out(rows[:2]))
    assert caught.value.code == "too_few_folds"


def test_a_train_row_needs_its_seven_keys_and_unknown_wordings_are_counted(tmp_path: Path) -> None:
    content = train_rows(PEOPLE).replace(COARSE, "What now?", 2)
    rows = read_train_file(as_file(tmp_path, content, "train.jsonl"))
    assert unknown_questions(rows) == {"What now?": 2}
    with pytest.raises(UserError, match="line 1 lacks subject"):
        read_train_file(as_file(tmp_path, content.replace("subject", "person"), "train.jsonl"))


def test_clips_are_found_whatever_the_nesting_and_sorted_naturally(tmp_path: Path) -> None:
    def touch(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    touch(*(f"test/MADE-1/img{number}.jpg" for number in (105, 36, 9)), "test/MADE-1/Thumbs.db")
    touch("test/MADE-2/one.PNG", "test/MADE-3/notes.txt", "test/long.mp4")
    touch("train/006/a_1/f1.jpg", "train/006/a_1/f2.jpg", "train/011/a_1/f1.jpg")
    finder = ClipFinder(tmp_path)
    found = finder.find("test/MADE-1")
    assert [path.name for path in found.images] == ["img9.jpg", "img36.jpg", "img105.jpg"]
    assert finder.find("MADE-1.mp4").path == found.path
    assert frame_number(found.images[2]) == 105
    states = {
        "MADE-1": ClipState.frames, "MADE-2": ClipState.single_image, "MADE-3": ClipState.empty,
        "MADE-4": ClipState.missing, "long": ClipState.video, "long.mp4": ClipState.video,
        "../outside": ClipState.missing, "a_1": ClipState.ambiguous,
    }  # fmt: skip
    assert {name: finder.find(name).state for name in states} == states
    assert finder.find("a_1", subject="6").path == tmp_path / "train/006/a_1"
    assert finder.find("a_1", subject="11").state is ClipState.single_image
    touch("SAMM/CLIP-1/1.png", "CAS/CLIP-1/1.png", "smic/CLIP-1/1.png")
    assert finder.find("CLIP-1").state is ClipState.missing  # folders are listed once
    finder = ClipFinder(tmp_path)
    assert finder.find("CLIP-1").state is ClipState.ambiguous
    for dataset, folder in (("samm", "SAMM"), ("casme3", "CAS"), ("smic", "smic")):
        assert finder.find("CLIP-1", dataset=dataset).path == tmp_path / folder / "CLIP-1"
    with pytest.raises(UserError) as caught:
        ClipFinder(tmp_path / "nowhere")
    assert caught.value.code == "missing_frames"


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        ([3, 4, 5, 6], []),
        ([3, 4, 6, 7, 11], [(5, 5), (8, 10)]),
        ([2, 4, 6, 10], [(8, 8)]),  # every second frame was kept
        ([1, 4, 5, 9, 11], []),  # no even numbering
        ([7], []),
        ([], []),
    ],
)
def test_gaps_in_a_folders_numbers(numbers: list[int], gaps: list[tuple[int, int]]) -> None:
    images = tuple(Path(f"clip/img{number}.jpg") for number in numbers)
    assert number_gaps(ClipFiles("clip", ClipState.frames, Path("clip"), images)) == gaps


ROWS: list[list[Any]] = [
    ["A coding sheet with made rows"],
    [None, "Subject means person"],
    ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units",
     "Estimated Emotion"],
    [6, "made_6_1", 101, 120, 180.0, "R12B + 25", "Happiness"],
    ["011", "made_11_1", "7", "/", "", "4+99?", "Other"],
    [None, None, None, None, None, None, None],
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_sheet_is_read_from_its_headings_down(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"codes{suffix}"
    if suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in ROWS:
            book.active.append(row)
        book.save(path)
    else:
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in ROWS]
        path.write_text("\n".join(lines), encoding="utf-8-sig")
    first, second = read_sheet(path, LAYOUTS["samm"])
    assert (first.subject, first.clip, first.emotion) == ("6", "made_6_1", "happiness")
    assert (first.onset_frame, first.apex_frame, first.offset_frame) == (101, 120, 180)
    assert first.units == ("lip corner puller", "lips part")
    assert first.duration_s(200.0) == pytest.approx(0.4)
    assert (second.onset_frame, second.apex_frame, second.offset_frame) == (7, None, None)
    assert (second.units, second.unread, second.duration_s(200.0)) == (
        ("brow lowerer",), ("99?",), None,
    )  # fmt: skip


def test_units_of_a_cell() -> None:
    assert read_units("4+L10; R14B,AU24") == (
        ("brow lowerer", "upper lip raiser", "dimpler", "lip pressor"), (),
    )  # fmt: skip
    assert read_units("?") == ((), ("?",))
    assert read_units("") == ((), ())


def test_a_sheet_without_headings_is_refused(tmp_path: Path) -> None:
    path = as_file(tmp_path, "a,b\n1,2\n", "codes.csv")
    with pytest.raises(UserError, match="Subject"):
        read_sheet(path, LAYOUTS["smic"])
    with pytest.raises(UserError) as caught:
        read_sheet(as_file(tmp_path, "no sheet", "codes.xlsx"), LAYOUTS["smic"])
    assert caught.value.code == "bad_sheet"


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        (1, "lacks the images numbered 3"),
        (8, "lacks the images numbered 3, 6, 9, 12, 15, 18, 21, 24"),
        (9, "lacks the images numbered 3, 6, 9, 12, 15, 18, 21, 24 and 1 more"),
    ],
)
def test_the_first_gaps_are_named_and_the_others_counted(
    tmp_path: Path, gaps: int, said: str
) -> None:
    folder = tmp_path / "clips" / "MADE-1"
    folder.mkdir(parents=True)
    for number in range(1, 3 * gaps + 3):
        if number % 3:
            (folder / f"{number}.jpg").touch()
    found = validate([as_file(tmp_path, COMPACT % COARSE)], clips=tmp_path / "clips")
    assert [(one.code, one.where, one.sentence) for one in found.findings] == [
        ("images_missing", "MADE-1", said)
    ]
    assert found.sound

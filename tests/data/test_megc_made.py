"""Made data in the challenge's shape holds its traps; validation finds what is wrong."""

import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from mllm_affect.data.megc.clip_folders import ClipFinder, ClipState, frame_number
from mllm_affect.data.megc.coding_sheets import LAYOUTS, read_sheet
from mllm_affect.data.megc.made_data import LVQA_TRAIN, VQA_TRAIN, make_megc
from mllm_affect.data.megc.made_faces import DRAWN_UNITS
from mllm_affect.data.megc.made_plan import (
    BEYOND_VOCABULARY,
    EXPRESSIONS,
    MegcPlan,
    plan_long,
    plan_test,
    plan_train,
)
from mllm_affect.data.megc.question_files import by_clip, read_question_file, read_train_file
from mllm_affect.data.megc.validating import validate
from mllm_affect.data.megc.vocabulary import ACTION_UNITS, ALL_UNITS
from mllm_affect.errors import UserError

PLAN = MegcPlan(subjects=2, clips_each=2, test_clips=3, long_videos=1, long_s=(3.0, 4.0),
                events=(2, 2))  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("megc") / "made"
    make_megc(folder, PLAN)
    return folder


def everything(folder: Path) -> dict[str, object]:
    return {
        "questions": sorted((folder / "test").glob("*.jsonl")),
        "train": [folder / VQA_TRAIN, folder / LVQA_TRAIN],
        "clips": folder / "clips",
        "sheets": {path.stem: path for path in (folder / "sheets").glob("*.csv")},
    }


def test_made_data_is_sound_but_for_its_traps(made: Path) -> None:
    found = validate(**everything(made))  # type: ignore[arg-type]
    assert found.sound, found.findings
    assert sorted(f.code for f in found.findings) == [
        "clip_missing", "clip_single_image", "images_missing",
    ]  # fmt: skip
    events = sum(len(video.face.movements) for video in plan_long(PLAN, "train"))
    assert found.counts["coded_clips"] == 12 + events > 12
    assert found.counts["train_clips"] == 14
    assert found.counts["questions"] == 42


def test_every_trap_is_there(made: Path) -> None:
    finder = ClipFinder(made / "clips")
    casme3 = read_question_file(made / "test/me_vqa_casme3_v2_test_to_answer.jsonl")
    samm = read_question_file(made / "test/me_vqa_samm_v2_test_to_answer.jsonl")
    assert finder.find(casme3.rows[5].video).state is ClipState.single_image
    assert finder.find(samm.rows[5].video).state is ClipState.missing
    assert not casme3.path.read_bytes().endswith(b"\n")
    assert b'": ' in samm.path.read_bytes()
    assert b'": ' not in casme3.path.read_bytes()
    grey = finder.find(samm.rows[0].video)
    assert cv2.imread(str(grey.images[0]), cv2.IMREAD_UNCHANGED).ndim == 2
    colour = finder.find(casme3.rows[0].video)
    assert cv2.imread(str(colour.images[0]), cv2.IMREAD_UNCHANGED).ndim == 3
    assert {row.subject for row in read_train_file(made / VQA_TRAIN) if row.dataset == "samm"} == {
        "6", "7",
    }  # fmt: skip
    named = [path.name for path in grey.images]
    assert named != sorted(named) or len({len(name) for name in named}) == 1
    numbers = [frame_number(path) or 0 for path in grey.images]
    assert all(after == before + 1 for before, after in pairwise(numbers))


def test_the_truth_is_the_question_file_answered(made: Path) -> None:
    for path in (made / "test").glob("*.jsonl"):
        truth = read_question_file(made / "test/truth" / path.name)
        answers = [row.answer for row in truth.rows]
        assert read_question_file(path).answered(answers) == truth.path.read_bytes()
        assert any(answer != "" for answer in answers)


def test_the_face_moves_where_the_sheet_says(made: Path) -> None:
    finder = ClipFinder(made / "clips/train")
    (first, *_) = read_sheet(made / "sheets/casme2.csv", LAYOUTS["casme2"])
    clip = finder.find(first.clip, first.subject)
    pictures = {frame_number(p): cv2.imread(str(p)).astype(float) for p in clip.images}
    start = pictures[min(number for number in pictures if number is not None)]
    change = {number: abs(picture - start).mean() for number, picture in pictures.items()}
    assert first.apex_frame is not None
    assert first.onset_frame is not None
    assert change[first.apex_frame] > 3 * change[first.onset_frame]


def test_plans_are_balanced_short_and_share_nobody() -> None:
    plan = MegcPlan()
    train, test = plan_train(plan), plan_test(plan)
    assert {clip.movement.fine for clip in train} == set(EXPRESSIONS)
    faces = [{(clip.face.split, clip.face.number) for clip in clips} for clips in (train, test)]
    assert not faces[0] & faces[1]
    assert all(0.2 < c.movement.offset_s - c.movement.onset_s <= 0.5 for c in [*train, *test])
    assert {c.face.rate_fps for c in [*train, *test]} == {30.0, 100.0, 200.0}
    for video in plan_long(MegcPlan(long_videos=8), "test"):
        moves = video.face.movements
        assert 60.0 <= video.face.seconds <= 180.0
        assert len(moves) <= 6
        assert all(b.onset_s - a.offset_s >= 0.5 - 1e-9 for a, b in pairwise(moves))
        assert all(m.offset_s <= video.face.seconds for m in moves)
    usual, macro = (
        {name for sets in choices.values() for units in sets for name in units}
        for choices in (EXPRESSIONS, BEYOND_VOCABULARY)
    )
    assert {f"AU{ALL_UNITS[name]}" for name in usual | macro} <= set(DRAWN_UNITS)
    assert usual <= ACTION_UNITS.keys()
    assert macro - ACTION_UNITS.keys() == {"blink"}
    assert plan_train(plan) == plan_train(plan)


def test_every_row_has_an_id_of_its_own_and_the_clip_is_named_in_video(made: Path) -> None:
    for path in sorted((made / "test").glob("*.jsonl")):
        file = read_question_file(path)
        clips = by_clip(file.rows)
        assert len({row.video_id for row in file.rows}) == len(file.rows) > len(clips)
        for (dataset, video), rows in clips.items():
            assert [row.video_id for row in rows] == [
                f"{dataset}_test_{video}_{number}" for number in range(1, len(rows) + 1)
            ]
            assert len(rows) == (6 if file.task == "lvqa" else 5)


def test_two_long_test_videos_are_of_one_person_who_stands_in_their_names() -> None:
    videos = plan_long(MegcPlan(long_videos=4), "test")
    named = [video.name for video in videos if video.dataset == "samm"]
    assert named == ["2_050_1", "2_050_2", "2_051_1", "2_051_2"]
    faces = [video.face.number for video in videos]
    assert len(set(faces)) == 4
    assert faces[0] == faces[1] != faces[2] == faces[3]


def test_a_folder_in_use_is_left_alone(made: Path) -> None:
    with pytest.raises(UserError) as caught:
        make_megc(made, PLAN)
    assert caught.value.code == "not_empty"


def change(source: Path, target: Path, old: str, new: str, times: int = -1) -> Path:
    path = target / source.name
    text = source.read_text()
    assert old in text
    path.write_text(text.replace(old, new, times))
    return path


@pytest.mark.parametrize(
    ("old", "new", "code", "serious"),
    [
        ('"answer": "negative"', '"answer": "bad"', "off_vocabulary", True),
        ('"answer": "negative"', '"answer": "positive"', "contradiction", False),
        ("What is the coarse expression class?", "What class?", "unknown_question", True),
        ('"subject": "6"', '"subject": "006"', "subject_spelt_twice", False),
        ('"filename": "made8"', '"filename": "made88"', "clip_missing", True),
        ('"filename": "made8"', '"filename": "made88"', "not_coded", False),
    ],
)
def test_validation_finds_what_is_wrong_in_training(
    made: Path, tmp_path: Path, old: str, new: str, code: str, serious: bool
) -> None:
    train = change(made / VQA_TRAIN, tmp_path, old, new, 1)
    given = everything(made) | {"train": [train], "questions": []}
    findings = [f for f in validate(**given).findings if f.code == code]  # type: ignore[arg-type]
    assert findings
    assert all(f.serious is serious for f in findings)


def test_validation_finds_what_is_wrong_in_questions_and_sheets(made: Path, tmp_path: Path) -> None:
    source = made / "test/me_vqa_samm_v2_test_to_answer.jsonl"
    twice = change(source, tmp_path, "What is the fine-grained expression class?",
                   "What is the coarse expression class?", 1)  # fmt: skip
    found = validate(questions=[twice])
    assert [f.code for f in found.findings] == ["asked_twice"]
    both = change(source, tmp_path, "What is the fine-grained expression class?",
                  "What is the action unit?", 1)  # fmt: skip
    both.write_text(both.read_text().replace("What is the coarse expression class?",
                                             "What are the action units?", 1))  # fmt: skip
    codes = {f.code for f in validate(questions=[both]).findings}
    assert "contradicting_questions" in codes
    truth = made / "test/truth" / source.name
    for old, new in (('"answer": "yes"', '"answer": "no"'), ('"answer": "no"', '"answer": "yes"')):
        if old in truth.read_text():
            across = change(truth, tmp_path, old, new, 1)
            found = validate(questions=[across])
            assert [f.code for f in found.findings] == ["contradiction"]
            assert not found.sound
    blank = change(truth, tmp_path, '"answer": "negative"', '"answer": ""', 1)
    assert [f.code for f in validate(questions=[blank]).findings] == ["off_vocabulary"]
    assert validate(questions=[truth, source]).findings == ()
    sheet = tmp_path / "samm.csv"
    sheet.write_text(
        "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units\n6,a,9,5,12,4+99\n"
    )
    codes = {f.code for f in validate(sheets={"samm": sheet}).findings}
    assert codes == {"times_out_of_order", "unread_action_unit"}
    with pytest.raises(UserError) as caught:
        validate(sheets={"other": sheet})
    assert caught.value.code == "unknown_dataset"


def test_an_image_that_a_sheet_codes_is_missed_by_name(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    shutil.copytree(made, folder)
    first = read_sheet(folder / "sheets/long_samm.csv", LAYOUTS["samm"])[0]
    (folder / f"clips/long/{first.clip}/img{first.onset_frame}.jpg").unlink()
    found = {f.code: f for f in validate(**everything(folder)).findings}  # type: ignore[arg-type]
    coded = found["coded_frame_missing"]
    assert coded.where == f"row {first.row}"
    assert f"{first.clip} lacks the image of frame {first.onset_frame} (onset)" in coded.sentence
    assert "leaves the event out" in coded.sentence
    gaps = [f for f in validate(**everything(folder)).findings if f.code == "images_missing"]  # type: ignore[arg-type]
    assert {f.where for f in gaps} >= {first.clip}
    assert (
        f"lacks the images numbered {first.onset_frame}"
        in {f.where: f.sentence for f in gaps}[first.clip]
    )


def test_units_outside_the_25_are_kept_for_long_videos_alone(tmp_path: Path) -> None:
    sheet = tmp_path / "samm.csv"
    sheet.write_text(
        "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units\n6,a,9,10,12,4+L18+99\n"
    )
    (row,) = read_sheet(sheet, LAYOUTS["samm"])
    assert (row.units, row.unread) == (("brow lowerer", "lip pucker"), ("99",))
    long = validate(sheets={"long_samm": sheet})
    assert [f.sentence for f in long.findings] == [
        "99 is no action unit with a known name and is not learned"
    ]
    assert long.counts["units_outside_the_25"] == 1
    (short,) = validate(sheets={"samm": sheet}).findings
    assert short.sentence == "99, lip pucker is no action unit of the vocabulary"

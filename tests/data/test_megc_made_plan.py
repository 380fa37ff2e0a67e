"""What made data of the micro-expression challenge promises: people, movements, rows and frames."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mllm_affect.data.megc.made_data import (
    LVQA_TRAIN,
    VQA_TRAIN,
    clip_rows,
    make_megc,
    name_in_test,
    video_rows,
)
from mllm_affect.data.megc.made_faces import MadeFace, Movement, unit_numbers, write_frames
from mllm_affect.data.megc.made_plan import MadeClip, MegcPlan, plan_long, plan_test, plan_train
from mllm_affect.data.megc.questions import Kind
from mllm_affect.data.megc.vocabulary import COARSE_OF_FINE

MANY = MegcPlan(subjects=6, clips_each=8, test_clips=12, long_videos=12)
TINY = MegcPlan(subjects=1, clips_each=1, test_clips=1, long_videos=1, long_s=(2.0, 3.0),
                events=(1, 1))  # fmt: skip


def test_training_has_the_same_number_of_clips_of_every_subject_and_class() -> None:
    train = plan_train(MANY)
    assert len(train) == 3 * 6 * 8
    people = Counter((clip.dataset, clip.subject) for clip in train)
    assert set(people.values()) == {8}
    assert [name for name in people if name[1].endswith("6")] == [
        ("casme2", "sub06"), ("samm", "6"), ("smic", "s06"),
    ]  # fmt: skip
    assert {clip.subject_folder for clip in train if clip.dataset == "samm"} == {
        f"{number:03d}" for number in range(6, 12)
    }
    assert len({clip.face.number for clip in train}) == len(people), "nobody is in two datasets"
    assert len({(clip.dataset, clip.subject, clip.name) for clip in train}) == len(train)
    assert sorted({clip.name for clip in train}) == sorted(f"made{n}" for n in range(8, 16))
    for dataset in ("casme2", "samm", "smic"):
        fine = Counter(clip.movement.fine for clip in train if clip.dataset == dataset)
        assert set(fine.values()) == {12}
    assert all(clip.coarse == COARSE_OF_FINE[clip.movement.fine] for clip in train)


def test_three_people_of_each_set_are_tested_and_none_of_them_is_in_another_set() -> None:
    test = plan_test(MANY)
    assert Counter(clip.dataset for clip in test) == {"casme3": 12, "samm": 12}
    faces = Counter((clip.dataset, clip.subject, clip.face.number) for clip in test)
    assert len(faces) == 6
    assert set(faces.values()) == {4}
    assert len({number for _, _, number in faces}) == 6
    assert sorted({clip.subject for clip in test}) == [
        "30", "31", "32", "spNO.30", "spNO.31", "spNO.32",
    ]  # fmt: skip
    assert [name_in_test(clip, 2) for clip in (test[0], test[-1])] == ["CAS-3", "SAMM-3"]


def check_movement(movement: Movement) -> None:
    lasts_s = movement.offset_s - movement.onset_s
    assert 0.25 <= lasts_s <= 0.45 if movement.micro else 0.9 <= lasts_s <= 2.0
    assert 0.35 <= (movement.apex_s - movement.onset_s) / lasts_s <= 0.5 + 1e-9
    assert 0.5 < movement.strength <= 1.0
    assert movement.micro == (movement.strength < 0.82)


def test_short_clips_hold_a_whole_micro_expression_between_calm_frames() -> None:
    clips = [*plan_train(MANY), *plan_test(MANY)]
    for clip in clips:
        face, movement = clip.face, clip.movement
        check_movement(movement)
        assert movement.micro
        assert 0.05 <= movement.onset_s <= 0.15
        assert 0.05 <= face.seconds - movement.offset_s <= 0.15 + 1e-9
        assert face.grey == (clip.dataset == "samm")
        assert 3 <= face.first_number < 95
    assert len({clip.face.first_number for clip in clips}) > 20
    assert len({clip.face.light for clip in clips}) == len(clips)


@pytest.mark.parametrize("split", ["train", "test"])
def test_long_videos_hold_none_to_six_events_of_both_lengths(split: str) -> None:
    videos = plan_long(MANY, split)  # type: ignore[arg-type]
    assert Counter(video.dataset for video in videos) == {"casme3": 12, "samm": 12}
    counts = [len(video.face.movements) for video in videos]
    assert min(counts) == 0
    assert max(counts) == 6
    moves = [movement for video in videos for movement in video.face.movements]
    for movement in moves:
        check_movement(movement)
    assert 0.3 < np.mean([movement.micro for movement in moves]) < 0.7
    for video in videos:
        assert (video.face.rate_fps, video.face.first_number) == (30.0, 1)
        assert video.face.grey == (video.dataset == "samm")
        assert all(m.onset_s >= 0 for m in video.face.movements)
    assert len({video.name for video in videos}) == len(videos)
    people = {(video.dataset, video.subject) for video in videos}
    faces = {(video.dataset, video.subject, video.face.number) for video in videos}
    assert len(people) == len(faces) == (24 if split == "train" else 12)
    assert len({number for _, _, number in faces}) == len(faces)
    if split == "train":
        assert [v.name for v in videos][:2] == ["casme3_long8_train", "casme3_long9_train"]
    assert plan_long(MegcPlan(events=(2, 2)), "test")[0].face.movements[1:]


def test_a_movement_rises_from_onset_to_apex_holds_and_falls_to_offset() -> None:
    movement = Movement(("brow lowerer", "blink"), "anger", 1.0, 1.2, 1.5, 0.8)
    assert movement.micro, "half a second is micro"
    assert not Movement((), "anger", 1.0, 1.2, 1.51, 0.8).micro
    told = [movement.at(t) for t in (0.9, 1.0, 1.1, 1.2, 1.25, 1.4, 1.5, 1.6)]
    assert told[0] == told[1] == told[-1] == 0.0
    assert told[6] == pytest.approx(0.0, abs=1e-9)
    assert 0 < told[2] < 0.8
    assert told[3] == told[4] == pytest.approx(0.8)
    assert 0 < told[5] < 0.8
    weaker = Movement(("brow lowerer",), "anger", 1.0, 1.2, 1.5, 0.3)
    face = MadeFace("train", 1, 5, 100.0, 2.0, (movement, weaker))
    pose = face.pose(1.22)
    assert pose.units == {"AU4": pytest.approx(0.8), "AU45": pytest.approx(0.8)}
    assert pose.eyelids == pytest.approx(0.2)
    assert face.pose(0.0).eyelids == 1.0
    assert 0 < abs(pose.turn) <= 0.06
    assert abs(pose.tilt) <= 0.03


def test_frames_are_numbered_from_the_first_and_the_last_one_holds() -> None:
    face = MadeFace("train", 1, 5, 30.0, 2.0, (), first_number=7)
    assert face.frames == 60
    assert [face.frame_number(t) for t in (0.0, 1.0, 1.967, 2.0, 9.0)] == [7, 37, 66, 66, 66]
    assert MadeFace("train", 1, 5, 30.0, 0.0, ()).frames == 1
    assert unit_numbers(("brow lowerer", "lip corner depressor")) == "4+15"


def test_frames_are_written_where_asked(tmp_path: Path) -> None:
    face = MadeFace("train", 1, 5, 30.0, 0.1, (), grey=True, first_number=9)
    assert write_frames(tmp_path / "all", face) == 3
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "img10.jpg", "img11.jpg", "img9.jpg",
    ]  # fmt: skip
    assert write_frames(tmp_path / "some", face, [2]) == 1
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["img11.jpg"]
    assert cv2.imread(str(tmp_path / "some/img11.jpg"), cv2.IMREAD_UNCHANGED).ndim == 2


def test_rows_about_a_clip_are_true_and_about_as_often_yes_as_no() -> None:
    said: Counter[str | int] = Counter()
    random = np.random.default_rng(0)
    wordings = set()
    for clip in plan_test(MANY):
        rows = clip_rows(clip, random)
        assert len(rows) == 5
        answers = {asked.kind: answer for asked, answer, _ in rows}
        assert answers[Kind.coarse] == clip.coarse
        assert answers[Kind.fine] == clip.movement.fine
        one = Kind.unit if len(clip.units) == 1 else Kind.units
        assert str(answers[one]).split(", ") == list(clip.units)
        for asked, answer, _ in rows:
            if asked.kind is Kind.unit_shown:
                assert answer == ("yes" if asked.unit in clip.units else "no")
                said[answer] += 1
        wordings |= {wording for asked, _, wording in rows if asked.kind is Kind.analysis}
        kinds = Counter(asked.kind for asked, _, _ in clip_rows(clip, random, train=True))
        assert kinds[Kind.unit_shown] == 2
        assert kinds.total() == 7
        assert kinds[Kind.joint_unit if len(clip.units) == 1 else Kind.joint_units] == 1
    assert min(said["yes"], said["no"]) >= 6
    assert len(wordings) > 1


def check_video(clip: MadeClip, random: np.random.Generator) -> None:
    moves = clip.face.movements
    rows = video_rows(clip, random)
    micro = sum(movement.micro for movement in moves)
    assert [answer for _, answer, _ in rows[:3]] == [len(moves), micro, len(moves) - micro]
    assert rows[3][1] == ", ".join(clip.units)
    numbers = [asked.number for asked, _, _ in rows[4:]]
    assert len(set(numbers)) == len(numbers) == min(2, len(moves))
    for number, (_, answer, _) in zip(numbers, rows[4:], strict=True):
        assert number is not None
        assert (answer == "micro-expression") == moves[number - 1].micro


def test_rows_about_a_long_video_are_true() -> None:
    random = np.random.default_rng(0)
    for clip in plan_long(MANY, "test"):
        check_video(clip, random)


def test_what_is_written_is_counted_and_training_rows_are_numbered(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    told = make_megc(tmp_path / "made", TINY, lambda done, total: seen.append((done, total)))
    assert told == {
        "clips": {"train": 3, "test": 2},
        "long_videos": {"train": 2, "test": 2},
        "questions": {"vqa_casme3": 5, "vqa_samm": 5, "lvqa_casme3": 5, "lvqa_samm": 5},
    }
    totals = {total for _, total in seen}
    assert totals == {sum(1 for _ in (tmp_path / "made/clips").rglob("*.jpg"))}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    for name, rows_each in ((VQA_TRAIN, 7), (LVQA_TRAIN, 5)):
        rows = [json.loads(line) for line in (tmp_path / "made" / name).read_text().splitlines()]
        assert [row["id"] for row in rows] == list(range(len(rows)))
        assert set(Counter(row["image_id"] for row in rows).values()) == {rows_each}
        for row in rows:
            assert row["image_id"] == f"{row['dataset']}_{row['subject']}_{row['filename']}"
    sheets = sorted(path.name for path in (tmp_path / "made/sheets").iterdir())
    assert sheets == [
        "casme2.csv", "long_casme3.csv", "long_samm.csv", "samm.csv", "smic.csv",
    ]  # fmt: skip
    assert all((tmp_path / "made/sheets" / name).read_text().count("\n") == 4 for name in sheets)

"""From made files and folders to a scored submission, with a model that knows the truth."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.exports.megc import prepare, write_submission
from eval.megc.answering import answer_clips, answer_videos
from eval.megc.predictions import Predicted, read_predicted, write_predicted
from eval.megc.summary import from_files
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder
from mllm_affect.data.megc.made_data import LVQA_TRAIN, VQA_TRAIN, make_megc, name_in_test
from mllm_affect.data.megc.made_plan import MadeClip, MegcPlan, plan_long, plan_test
from mllm_affect.data.megc.question_files import read_question_file, read_train_file
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.scoring.clip_profile import learn_prior
from mllm_affect.scoring.event_answers import count_form
from mllm_affect.scoring.video_events import Window
from mllm_affect.tasks.prompts import load_family
from mllm_affect.tasks.task import Task

PLAN = MegcPlan(subjects=2, clips_each=2, test_clips=4, long_videos=2, long_s=(6.0, 9.0),
                events=(1, 3))  # fmt: skip
SETS = ("casme3", "samm")
PRIOR = learn_prior([({"brow lowerer", "lip corner depressor"}, "anger")])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("megc_path") / "made"
    make_megc(folder, PLAN)
    return folder


def clips_by_name() -> dict[str, MadeClip]:
    places = dict.fromkeys(SETS, 0)
    named = {}
    for clip in plan_test(PLAN):
        named[name_in_test(clip, places[clip.dataset])] = clip
        places[clip.dataset] += 1
    return named | {clip.name: clip for clip in plan_long(PLAN, "test")}


def sees_all(
    clip: ClipFiles, _dataset: str, tasks: Mapping[Asked, Task]
) -> dict[Asked, dict[str, float]]:
    truth = clips_by_name()[clip.name]
    right = {Kind.coarse: truth.coarse, Kind.fine: truth.movement.fine, Kind.unit: truth.units[0]}
    found = {}
    for asked, task in tasks.items():
        yes = "yes" if asked.unit in truth.units else "no"
        answer = right.get(asked.kind, yes)
        assert answer in task.answers
        assert asked.unit is None or asked.unit in task.question
        rest = 0.2 / (len(task.answers) - 1)
        found[asked] = {name: 0.8 if name == answer else rest for name in task.answers}
    return found


def scans_all(clip: ClipFiles, _dataset: str) -> Sequence[Window]:
    truth = clips_by_name()[clip.name].face
    windows = []
    for start_s in np.arange(0.0, truth.seconds, 0.05):
        on = [m for m in truth.movements if m.onset_s <= start_s + 0.025 <= m.offset_s]
        units = dict.fromkeys(on[0].units, 0.9) if on else {}
        windows.append(Window(start_s, start_s + 0.05, 0.95 if on else 0.02, units))
    return windows


def predict_clips(made: Path) -> tuple[list[Path], list[Predicted]]:
    paths = [made / f"test/me_vqa_{name}_v2_test_to_answer.jsonl" for name in SETS]
    finder, family = ClipFinder(made / "clips/test"), load_family("me_vqa")
    rows = [
        row
        for path in paths
        for clip in answer_clips(read_question_file(path).rows, finder, family, sees_all, PRIOR)
        for row in clip
    ]
    return paths, rows


def test_short_clips_reach_a_submission_and_their_scores(made: Path, tmp_path: Path) -> None:
    paths, rows = predict_clips(made)
    write_predicted(tmp_path / "predictions.jsonl", rows)
    submission = prepare(paths, read_predicted([tmp_path / "predictions.jsonl"]), "vqa")
    assert submission.problems == ()
    assert submission.rows == len(rows) == 2 * 4 * 5
    assert submission.warnings[0].startswith("1 clips (5 rows) were answered without pictures")
    write_submission(submission, tmp_path / "submission.zip")
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        archive.extractall(tmp_path)
    answered = [tmp_path / f"me_vqa_{name}_v2_test_pred.jsonl" for name in SETS]
    truth = [made / "test/truth" / path.name for path in paths]
    summary = from_files(truth, answered, made / VQA_TRAIN, resamples=50)
    assert summary.unanswered == 0
    figures = {figure.name: figure.value for figure in summary.figures}
    # All of CAS was seen, one clip of SAMM was missing.
    assert figures["UAR Coarse CAS"] == figures["UAR Fine-Grained CAS"] == 1.0
    assert figures["BLEU CAS"] == pytest.approx(1.0)
    assert 0.5 < (figures["BLEU SAMM"] or 0.0) < 1.0
    assert summary.floor is not None
    assert (summary.floor["UAR Coarse CAS"] or 0.0) < 0.5


def test_long_videos_reach_a_submission_and_their_scores(made: Path, tmp_path: Path) -> None:
    paths = [made / f"test/me_lvqa_{name}_test_to_answer.jsonl" for name in SETS]
    finder = ClipFinder(made / "clips/long")
    form = count_form(read_train_file(made / LVQA_TRAIN))
    assert form == "number"
    videos = [
        video
        for path in paths
        for video in answer_videos(read_question_file(path).rows, finder, scans_all, form)
    ]
    for video in videos:
        movements = clips_by_name()[video.key[1]].face.movements
        assert [event.onset_s for event in video.events] == pytest.approx(
            [movement.onset_s for movement in movements], abs=0.06
        )
    rows = [row for video in videos for row in video.rows]
    submission = prepare(paths, {row.key: row for row in rows}, "lvqa")
    assert submission.problems == ()
    assert submission.warnings == ()
    write_predicted(tmp_path / "predictions.jsonl", rows)
    truth = [made / "test/truth" / path.name for path in paths]
    summary = from_files(truth, [tmp_path / "predictions.jsonl"], resamples=0)
    figures = {figure.name: figure.value for figure in summary.figures}
    assert figures["MAE events Overall"] == 0.0
    assert figures["F1_AU Overall"] == figures["Jaccard_AU Overall"] == 1.0


def test_the_ablation_answers_each_question_alone(made: Path) -> None:
    path = made / "test/me_vqa_casme3_v2_test_to_answer.jsonl"

    def torn(
        clip: ClipFiles, dataset: str, tasks: Mapping[Asked, Task]
    ) -> dict[Asked, dict[str, float]]:
        said = sees_all(clip, dataset, tasks)
        said[Asked(Kind.fine)] = dict.fromkeys(said[Asked(Kind.fine)], 0.1) | {"happiness": 0.5}
        said[Asked(Kind.coarse)] = {"positive": 0.01, "negative": 0.98, "surprise": 0.01}
        return said

    def answers(alone: bool) -> set[tuple[object, object]]:
        finder, family = ClipFinder(made / "clips/test"), load_family("me_vqa")
        clips = answer_clips(read_question_file(path).rows, finder, family, torn, alone=alone)
        return {(rows[0].answer, rows[1].answer) for rows in clips}

    assert answers(alone=True) == {("negative", "happiness")}
    assert answers(alone=False) == {("negative", "anger")}

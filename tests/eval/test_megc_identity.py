"""A clip is (dataset, video) whatever `video_id` says: asked or scanned once, answered jointly."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.exports.megc import prepare
from eval.megc.answering import answer_clips, answer_videos
from eval.megc.predicting import PredictionPlan, predict
from eval.megc.predictions import Predicted, read_predicted
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder
from mllm_affect.data.megc.made_data import make_megc
from mllm_affect.data.megc.made_plan import MegcPlan
from mllm_affect.data.megc.question_files import read_question_file
from mllm_affect.data.megc.questions import COUNTS, Asked, Kind, recognise, word
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import UserError
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.media import video
from mllm_affect.scoring.video_events import Window
from mllm_affect.tasks.prompts import load_family
from mllm_affect.tasks.task import Task

PLAN = MegcPlan(seed=1, subjects=1, clips_each=1, test_clips=3, long_videos=1, long_s=(4.0, 5.0),
                events=(2, 2))  # fmt: skip
SETS = ("casme3", "samm")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("megc_identity") / "made"
    make_megc(folder, PLAN)
    return folder


def files(folder: Path, task: str) -> list[Path]:
    version = "_v2" if task == "vqa" else ""
    return [folder / f"me_{task}_{name}{version}_test_to_answer.jsonl" for name in SETS]


def with_shared_ids(made: Path, out: Path, task: str) -> list[Path]:
    """The same files as they were made before: one id for all rows of a clip."""
    for path in files(made / "test", task):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [json.dumps(row | {"video_id": f"shared_{row['video']}"}) for row in rows]
        (out / path.name).write_text("\n".join(lines))
    return files(out, task)


@pytest.fixture(params=["an id per row", "an id per clip"])
def shared(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "an id per clip")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is decoded, in order."""
    names: list[str] = []
    real = video.open_video

    def counting(source: Any, **options: Any) -> Any:
        names.append(getattr(source, "path", source).name)
        return real(source, **options)

    monkeypatch.setattr("mllm_affect.expressions.sources.open_video", counting)
    return names


@pytest.mark.parametrize("task", ["vqa", "lvqa"])
def test_each_clip_is_decoded_once_and_exported_without_contradiction(
    made: Path, tmp_path: Path, opened: list[str], shared: bool, task: str
) -> None:
    paths = with_shared_ids(made, tmp_path, task) if shared else files(made / "test", task)
    clips = made / "clips" / ("test" if task == "vqa" else "long")
    plan = PredictionPlan("vqa" if task == "vqa" else "lvqa", tuple(paths), clips, tmp_path / "out")
    done = predict(plan, Viewer(EchoEngine(), trusted=True), {})
    asked = [row for path in paths for row in read_question_file(path).rows]
    videos = list(dict.fromkeys(row.video for row in asked))
    seen = [name for name in videos if ClipFinder(clips).find(name).usable]
    assert sorted(opened) == sorted(seen)
    assert (done.rows, done.clips, done.fallback) == (
        len(asked),
        len(videos),
        len(videos) - len(seen),
    )
    predicted = read_predicted([done.path])
    assert {row.video for row in predicted.values()} == set(videos)
    assert prepare(paths, predicted, plan.task).problems == ()
    stems = {path.stem for path in (tmp_path / "out/timelines").glob("*")}
    keys = {f"{row.dataset}_{row.video}" for row in asked}
    assert stems == (set() if task == "vqa" else keys)
    again = predict(plan, Viewer(EchoEngine(), trusted=True), {})
    assert sorted(opened) == sorted(seen), "a finished run decodes nothing"
    assert again.answered_before == done.clips


def test_a_row_that_is_in_two_files_is_answered_once(
    made: Path, tmp_path: Path, opened: list[str]
) -> None:
    second = files(made / "test", "vqa")[0]
    first = tmp_path / "me_vqa_casme3_test_to_answer.jsonl"
    first.write_bytes(second.read_bytes())
    plan = PredictionPlan("vqa", (first, second), made / "clips/test", tmp_path / "out")
    done = predict(plan, Viewer(EchoEngine(), trusted=True), {})
    assert done.clips == len(opened) == PLAN.test_clips
    assert done.rows == len(read_predicted([done.path])) == PLAN.test_clips * 5


def question_file(folder: Path, texts: Mapping[str, Sequence[str]], dataset: str = "samm") -> Path:
    """A file in which every row has an id of its own."""
    task = "lvqa" if any("events appear" in t for some in texts.values() for t in some) else "vqa"
    path = folder / f"me_{task}_{dataset}_test_to_answer.jsonl"
    rows = [
        {"video_id": f"{dataset}_test_{name}_{place}", "video": name, "question": text,
         "answer": ""}
        for name, some in texts.items()
        for place, text in enumerate(some, start=1)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_rows_of_one_clip_share_one_profile_and_clips_of_two_sets_do_not(tmp_path: Path) -> None:
    texts = [word(Asked(Kind.coarse)), word(Asked(Kind.fine)), word(Asked(Kind.unit))]
    rows = [
        row
        for dataset in SETS
        for row in read_question_file(question_file(tmp_path, {"CLIP-1": texts}, dataset)).rows
    ]
    for folder in ("SAMM/CLIP-1", "CAS/CLIP-1"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "img1.jpg").touch()
    calls: list[tuple[str, str]] = []

    def ask(clip: ClipFiles, dataset: str, tasks: Mapping[Asked, Task]) -> Any:
        assert clip.path is not None
        calls.append((dataset, clip.path.parent.name))
        said = {asked: dict.fromkeys(task.answers, 0.1) for asked, task in tasks.items()}
        said[Asked(Kind.fine)]["fear"] = 0.9
        # Alone, the coarse question would be answered with positive.
        said[Asked(Kind.coarse)] = {"positive": 0.5, "negative": 0.4, "surprise": 0.1}
        return said

    found = list(answer_clips(rows, ClipFinder(tmp_path), load_family("me_vqa"), ask))
    assert calls == [("casme3", "CAS"), ("samm", "SAMM")]
    assert [[row.answer for row in clip][:2] for clip in found] == [["negative", "fear"]] * 2
    assert len({row.key for clip in found for row in clip}) == 6


def test_no_video_has_fewer_events_than_its_rows_number(tmp_path: Path) -> None:
    counts = [word(Asked(kind)) for kind in sorted(COUNTS)]
    texts = {
        "1_001_1": [*counts, word(Asked(Kind.event_type, number=2))],
        "1_001_2": [*counts, *(word(Asked(Kind.event_type, number=n)) for n in (7, 3))],
        "1_002_1": counts,
    }
    path = question_file(tmp_path, texts)
    for name in texts:
        (tmp_path / name).mkdir()
        (tmp_path / name / "img1.jpg").touch()
    scans: list[str] = []

    def scan(clip: ClipFiles, _dataset: str) -> list[Window]:
        scans.append(clip.name)
        return [Window(1.0, 1.3, 0.9)]

    answered = list(
        answer_videos(read_question_file(path).rows, ClipFinder(tmp_path), scan, "number")
    )
    assert scans == list(texts)
    said = {}
    for found in answered:
        by_kind = {
            asked.kind: row.answer
            for row in found.rows
            if (asked := recognise(row.question)) is not None
        }
        total = by_kind[Kind.count_all]
        assert total == by_kind[Kind.count_micro] + by_kind[Kind.count_macro]  # type: ignore[operator]
        said[found.key[1]] = total
    assert said == {"1_001_1": 2, "1_001_2": 7, "1_002_1": 1}


def test_questions_that_contradict_each_other_in_two_rows_are_refused(tmp_path: Path) -> None:
    texts = {"CLIP-1": [word(Asked(Kind.unit)), word(Asked(Kind.units))]}
    rows = read_question_file(question_file(tmp_path, texts)).rows
    finder = ClipFinder(tmp_path)
    with pytest.raises(UserError) as raised:
        list(answer_clips(rows, finder, load_family("me_vqa"), lambda *_: {}))
    assert raised.value.code == "contradicting_questions"


def test_a_log_from_before_clips_were_told_by_video_is_not_taken_up(
    made: Path, tmp_path: Path
) -> None:
    plan = PredictionPlan(
        "vqa", tuple(files(made / "test", "vqa")), made / "clips/test", tmp_path / "out"
    )
    predict(plan, Viewer(EchoEngine(), trusted=True), {})
    path = tmp_path / "out/settings.json"
    kept = json.loads(path.read_text())
    del kept["clip_key"]
    path.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="clip_key"):
        predict(plan, Viewer(EchoEngine(), trusted=True), {})


def test_a_prediction_keeps_the_name_of_its_clip(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    row = {"dataset": "samm", "video_id": "a_1", "question": "q", "answer": "x"}
    path.write_text(
        json.dumps(row | {"video": "CLIP-1"}) + "\n" + json.dumps(row | {"video_id": 7})
    )
    first, second = read_predicted([path]).values()
    assert (first.video, second.video) == ("CLIP-1", "")
    assert first == Predicted("samm", "a_1", "q", "x", video="CLIP-1")

"""Rows of the micro-expression tasks: the same pictures as prediction, true answers, folds."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finetune.megc.prepare import ExpressionPreparation, prepare_expressions
from finetune.megc.rule import ExpressionRule, TimedEvent, peaking_in, shown_in
from finetune.recipe import load_recipe
from finetune.run import run, with_units
from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.data.megc.coding_sheets import LAYOUTS, read_sheet
from mllm_affect.data.megc.made_data import make_megc
from mllm_affect.data.megc.made_plan import MadeClip, MegcPlan, plan_train
from mllm_affect.data.megc.question_files import by_clip, read_question_file
from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import UserError
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_family

PLAN = MegcPlan(seed=3, subjects=2, clips_each=2, test_clips=2, long_videos=1,
                long_s=(8.0, 9.0), events=(2, 2))  # fmt: skip
PROFILE = ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096))
FAMILIES = (load_family("me_vqa"), load_family("me_lvqa"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("megc_rows") / "made"
    make_megc(folder, PLAN)
    return folder


@pytest.fixture(scope="module")
def prepared(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("megc_prepared")
    prepare_expressions(made, ExpressionPreparation(FAMILIES, PROFILE), out, trusted=True)
    return out


def rows_in(folder: Path) -> list[dict[str, str]]:
    """Question, answer and the folder of the pictures of each row."""
    found = []
    for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        asked, answer = row["messages"]
        question = asked["content"].removeprefix("<video>")
        place = row["videos"][0][0].rsplit("/", 1)[0]
        found.append({"question": question, "answer": answer["content"], "place": place})
    return found


class Looking(EchoEngine):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[ModelInput] = []

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.seen += inputs
        return super().score(inputs, answers)


def planned(name: str, subject: str) -> MadeClip:
    return next(c for c in plan_train(PLAN) if (c.name, c.subject) == (name, subject))


@pytest.mark.parametrize("flow", [False, True])
def test_training_sees_what_prediction_sees(
    made: Path, prepared: Path, tmp_path: Path, flow: bool
) -> None:
    clip = plan_train(PLAN)[0]
    files = ClipFinder(made / "clips").find(clip.name, clip.subject)
    engine = Looking()
    family = FAMILIES[0].model_copy(update={"motion_picture": flow})
    if flow:
        prepared = tmp_path
        prepare_expressions(made, ExpressionPreparation((family,), PROFILE), prepared, trusted=True)
    Viewer(engine, PROFILE, trusted=True).ask(files, clip.dataset, family, clip_tasks([], family))
    by_question = {row["question"]: row for row in rows_in(prepared)}
    texts = {seen.text for seen in engine.seen}
    asked_in_training = {row["question"] for row in rows_in(prepared)}
    assert {t for t in texts if "class" in t} <= asked_in_training
    assert sum(t in asked_in_training for t in texts) > 5
    shown = engine.seen[0].frames_THWC
    places = [row["place"] for row in rows_in(prepared) if row["question"] == engine.seen[0].text]
    pictures = [
        np.stack([np.asarray(Image.open(path)) for path in sorted((prepared / p).glob("*.png"))])
        for p in places
    ]
    assert any(p.shape == shown.shape and np.array_equal(p, shown) for p in pictures)
    assert by_question


def test_every_clip_gets_its_true_answers(prepared: Path) -> None:
    manifest = json.loads((prepared / "manifest.json").read_text())
    clips = plan_train(PLAN)
    coarse = manifest["answers_before_balance"]["me_vqa-coarse"]
    assert coarse == {
        name: sum(clip.coarse == name for clip in clips)
        for name in ("negative", "positive", "surprise")
    }
    units = manifest["answers_before_balance"]["me_vqa-unit_shown"]
    assert units["yes"] == sum(len(clip.units) for clip in clips)
    assert units["no"] == units["yes"]  # one absent unit is asked about for each present one
    assert manifest["data"]["left_out"] == {}
    assert manifest["participants"] == len({(c.dataset, c.subject) for c in clips}) + 2
    assert manifest["rows"] == len(rows_in(prepared))


def test_windows_of_long_videos_are_labelled_by_their_sheets(prepared: Path) -> None:
    counts = json.loads((prepared / "manifest.json").read_text())["answers_before_balance"]
    here = counts["me_lvqa-event_here"]
    assert here["yes"] >= 4 * 3  # two videos of two events, each in several windows
    assert here["no"] >= here["yes"]
    assert sum(counts["me_lvqa-type_here"].values()) >= 4
    assert counts["me_lvqa-unit_shown"]["yes"] == counts["me_lvqa-unit_shown"]["no"]


def test_a_model_with_evidence_is_told_which_units_move_on_whom(made: Path, tmp_path: Path) -> None:
    told = ExpressionPreparation(FAMILIES, PROFILE, with_units=True)
    prepare_expressions(made, told, tmp_path, trusted=True)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    asked = load_family("me_lvqa").task("event_here").question
    told_calm = {
        row["units"]
        for row in rows
        if asked in row["messages"][0]["content"] and row["messages"][-1]["content"] == "no"
    }
    assert told_calm == {""}
    shown_of: dict[str, set[str]] = {}
    for row in rows:
        question, answer = (message["content"] for message in row["messages"])
        for name, number in ACTION_UNITS.items():
            if question == f"<video>{FAMILIES[0].task('unit_shown', unit=name).question}":
                assert (str(number) in row["units"].split(",")) == (answer == "yes")
                shown_of.setdefault(row["participant"], set()).add(answer)
    assert len(shown_of) > 1
    assert all("/" in person and answers == {"yes", "no"} for person, answers in shown_of.items())


def test_who_is_left_out_is_in_no_row_and_can_be_predicted(made: Path, tmp_path: Path) -> None:
    left = ExpressionPreparation(
        FAMILIES[:1], PROFILE, ExpressionRule(leave_out="samm/006"), balance="oversample"
    )
    manifest = prepare_expressions(made, left, tmp_path, trusted=True)
    # The one preparation here whose videos are decoded in processes of their own, as by default.
    everyone = prepare_expressions(
        made, ExpressionPreparation(FAMILIES[:1], PROFILE), tmp_path / "all"
    )
    assert manifest["participants"] == everyone["participants"] - 1
    assert manifest["videos"] == everyone["videos"] - PLAN.clips_each
    file = read_question_file(tmp_path / "left_out" / "me_vqa_samm_test_to_answer.jsonl")
    finder = ClipFinder(made / "clips")
    assert {finder.find(row.video).state for row in file.rows} == {"frames"}
    assert all("006" in row.video and row.answer for row in file.rows)
    assert len({row.video_id for row in file.rows}) == len(file.rows)
    assert len(by_clip(file.rows)) == PLAN.clips_each
    assert {row.subject for row in file.rows} == {"6"}
    before = manifest["answers_before_balance"]["me_vqa-coarse"]
    questions = [row["answer"] for row in rows_in(tmp_path) if "coarse" in row["question"]]
    assert {questions.count(name) for name in before} == {max(before.values())}


def test_an_event_that_misses_a_coded_image_is_left_out_and_counted(
    made: Path, tmp_path: Path
) -> None:
    data = tmp_path / "made"
    shutil.copytree(made, data)
    for name, units in (("casme3", "27"), ("samm", "4+99")):
        sheet = data / f"sheets/long_{name}.csv"
        lines = sheet.read_text().splitlines()
        cells = lines[-1].split(",")
        sheet.write_text("\n".join([*lines[:-1], ",".join([*cells[:5], units, *cells[6:]])]) + "\n")
    (first, *_) = read_sheet(data / "sheets/long_samm.csv", LAYOUTS["samm"])
    (data / f"clips/long/{first.clip}/img{first.onset_frame}.jpg").unlink()
    out = tmp_path / "out"
    manifest = prepare_expressions(
        data, ExpressionPreparation(FAMILIES[1:], PROFILE), out, trusted=True
    )
    assert manifest["data"]["left_out"] == {
        "action unit without a known name": 1, "event with a coded frame missing": 1,
    }  # fmt: skip
    assert "mouth stretch" in manifest["data"]["other_units"]
    asked = FAMILIES[1].task("unit_shown", unit="mouth stretch").question
    answers = {row["answer"] for row in rows_in(out) if row["question"] == asked}
    assert answers == {"yes", "no"}
    learned = with_units(PROFILE.model_copy(update={"other_units": ("wink",)}), manifest)
    assert learned.other_units == ("wink", *manifest["data"]["other_units"])


@pytest.mark.parametrize("name", ["samm/99", "casme3", "nobody"])
def test_a_stranger_cannot_be_left_out(made: Path, tmp_path: Path, name: str) -> None:
    rule = ExpressionRule(leave_out=name)
    with pytest.raises(UserError) as raised:
        prepare_expressions(made, ExpressionPreparation(FAMILIES[:1], PROFILE, rule), tmp_path)
    assert raised.value.code == "nobody_left_out"
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_window_shows_an_expression_from_half_of_the_shorter_on() -> None:
    event, rule = TimedEvent(onset_s=2.0, apex_s=2.2, offset_s=2.4, units=("dimpler",)), (
        ExpressionRule()
    )  # fmt: skip
    assert shown_in(1.5, 2.25, [event], rule) is True
    assert shown_in(1.5, 2.1, [event], rule) is None
    assert shown_in(1.0, 2.0, [event], rule) is False
    assert shown_in(0.0, 1.0, [], rule) is False
    assert event.type == "micro-expression"
    assert peaking_in(2.1, 2.3, [event]) == event
    assert peaking_in(2.25, 2.4, [event]) is None


def test_a_bound_on_segments_that_would_not_be_kept_is_refused(made: Path, tmp_path: Path) -> None:
    recipe = load_recipe("miniature-me", {"max_seconds": 2.0, "data": str(made)})
    with pytest.raises(UserError, match="leave max_seconds out") as caught:
        run(recipe, tmp_path / "out")
    assert caught.value.code == "bad_recipe"
    assert not (tmp_path / "out").exists()

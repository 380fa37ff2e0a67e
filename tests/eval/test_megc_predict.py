"""`predict megc`: from question files and clips to files that evaluate and export take."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.megc.predicting import PredictionPlan, predict
from mllm_affect.cli.app import app
from mllm_affect.data.megc.made_data import LVQA_TRAIN, VQA_TRAIN, make_megc
from mllm_affect.data.megc.made_plan import MegcPlan
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import EngineError, UserError
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.model_input import ModelInput

PLAN = MegcPlan(seed=1, subjects=2, clips_each=2, test_clips=3, long_videos=1, long_s=(6.0, 7.0),
                events=(1, 2))  # fmt: skip
SETS = ("casme3", "samm")
RUN = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("megc_predict") / "made"
    make_megc(folder, PLAN)
    return folder


def files(made: Path, task: str) -> list[Path]:
    version = "_v2" if task == "vqa" else ""
    return [made / "test" / f"me_{task}_{name}{version}_test_to_answer.jsonl" for name in SETS]


def invoke(*words: object) -> dict[str, object]:
    result = RUN.invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(("task", "train"), [("vqa", VQA_TRAIN), ("lvqa", LVQA_TRAIN)])
def test_predictions_reach_the_scores_and_the_submission(
    made: Path, tmp_path: Path, task: str, train: str
) -> None:
    questions = [word for path in files(made, task) for word in ("--questions", path)]
    out = tmp_path / "out"
    clips = made / "clips" / ("test" if task == "vqa" else "long")
    told = ["--task", task, *questions, "--train", made / train]
    found = invoke("predict", "megc", *told, "--clips", clips, "--model", "echo", "--out", out)
    assert found["fallback"] == (1 if task == "vqa" else 0)  # the missing folder
    predictions = ["--predictions", out / "predictions.jsonl"]
    truth = [w for path in files(made, task)
             for w in ("--truth", made / "test/truth" / path.name)]  # fmt: skip
    scored = invoke("evaluate", "megc", *truth, *predictions, "--out", tmp_path / "scores")
    assert scored["unanswered"] == 0
    assert scored["rows"] == found["rows"]
    beside = [*predictions, "--against", out / "predictions.jsonl"]
    same = invoke("evaluate", "megc", *truth, *beside, "--out", tmp_path / "beside")
    assert same["against"]["difference"] == 0.0
    invoke("export", "megc", *told, *predictions, "--out", tmp_path / "submission.zip")
    timelines = sorted(path.suffix for path in (out / "timelines").glob("*"))
    assert timelines == sorted([".csv", ".json", ".vtt"] * (0 if task == "vqa" else 2))


class Failing(EchoEngine):
    """Goes away after so many questions."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.left -= len(inputs)
        if self.left < 0:
            raise EngineError("engine_away", "gone")
        return super().score(inputs, answers)


def plan(made: Path, out: Path, **changes: bool) -> PredictionPlan:
    return PredictionPlan("vqa", tuple(files(made, "vqa")), made / "clips/test", out, **changes)


def test_a_stopped_run_goes_on_and_ends_with_the_same_answers(made: Path, tmp_path: Path) -> None:
    stopped = Failing(after=60)
    with pytest.raises(EngineError):
        predict(plan(made, tmp_path / "out"), Viewer(stopped), {})
    path = tmp_path / "out" / "predictions.jsonl"
    kept = path.read_text(encoding="utf-8")
    assert 0 < len(kept.splitlines()) < 30
    path.write_text(kept + kept.splitlines()[0][:40], encoding="utf-8")  # cut short by a crash
    engine = Failing(after=10_000)
    done = predict(plan(made, tmp_path / "out"), Viewer(engine), {})
    assert done.answered_before > 0
    asked = 10_000 - engine.left
    whole = Failing(after=10_000)
    predict(plan(made, tmp_path / "whole"), Viewer(whole), {})
    assert asked < 10_000 - whole.left
    again = (tmp_path / "whole" / "predictions.jsonl").read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") == again


def test_other_settings_and_other_prompts_are_refused(made: Path, tmp_path: Path) -> None:
    predict(plan(made, tmp_path), Viewer(EchoEngine()), {})
    with pytest.raises(UserError) as raised:
        predict(plan(made, tmp_path, alone=True), Viewer(EchoEngine()), {})
    assert raised.value.code == "other_run"
    assert "alone" in raised.value.sentence
    learned = ModelProfile(prompt_hashes={"me_vqa-fine": "0" * 64})
    with pytest.raises(UserError) as raised:
        predict(plan(made, tmp_path / "new"), Viewer(EchoEngine(), learned), {})
    assert raised.value.code == "other_prompt"
    predict(plan(made, tmp_path / "new", force=True), Viewer(EchoEngine(), learned), {})


def test_bad_input_is_one_sentence_and_status_two(made: Path, tmp_path: Path) -> None:
    words = ["predict", "megc", "--task", "lvqa", "--questions", str(files(made, "vqa")[0]),
             "--clips", str(made), "--out", str(tmp_path), "--model", "echo"]  # fmt: skip
    result = RUN.invoke(app, words)
    assert result.exit_code == 2
    assert "bad_file_name" in result.output

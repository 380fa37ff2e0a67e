"""`mllm-affect calibrate`: from predictions of a validation split to scoring.json."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.predictions import Prediction, SegmentPrediction, write_predictions
from mllm_affect.cli.app import app
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile, write_profile
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.abstention import NEVER
from mllm_affect.scoring.scoring_file import read_scoring
from mllm_affect.tasks.prompts import load_task

SMALL = Sampling(fps=4.0, max_pixels=4096)
AH = load_task("ah")


def row(number: int, unusable: bool = False) -> Prediction:
    positive = number % 2 == 0
    # Wrong about every eighth person, and always sure of itself.
    p_yes = 0.999 if positive != (number % 8 == 0) else 0.002
    answer = "yes" if p_yes > 0.5 else "no"
    said = {"yes": p_yes, "no": 1 - p_yes}
    return Prediction(
        video=f"v{number}.mp4",
        participant=f"p{number}",
        split="val",
        task="ah",
        label="yes" if positive else "no",
        answer=None if unusable else answer,
        classes=("yes", "no"),
        positive="yes",
        probabilities={} if unusable else said,
        segments=() if unusable else (SegmentPrediction(0, 0.0, 4.0, answer, said),),
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What `calibrate` looks at of a checkpoint."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write_profile(folder, ModelProfile(sampling=SMALL, prompt_hashes={"ah": AH.prompt_hash}))
    return folder


@pytest.fixture
def predictions(tmp_path: Path, model: Path) -> Path:
    path = tmp_path / "val" / "predictions.jsonl"
    write_predictions(path, [*map(row, range(40)), row(40, unusable=True)])
    settings = {"prompt": AH.prompt_hash, "split": "val", "examples": "e" * 64, "ablation": None}
    settings["weights"] = weights_hash(model)
    (path.parent / "run.json").write_text(json.dumps(settings))
    return path


def invoke(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", *map(str, words)], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_the_file_says_what_was_chosen_and_what_it_was_made_from(
    predictions: Path, model: Path
) -> None:
    status, told = invoke("--predictions", predictions, "--model", model, "--json")
    assert status == 0, told
    scoring = read_scoring(model).tasks["ah"]
    assert json.loads(told)["calibration"] == scoring.id
    made = scoring.made_from
    assert (made.videos, made.unusable, made.participants) == (40, 1, 40)
    assert (made.split, made.examples_sha256) == ("val", "e" * 64)
    assert made.weights == weights_hash(model)
    assert (scoring.prompt_hash, scoring.sampling) == (AH.prompt_hash, SMALL)
    assert scoring.before.calibration_error > 0.1 > scoring.out_of_fold.calibration_error
    assert scoring.temperature > 2


def test_a_person_reads_the_comparison(predictions: Path, model: Path) -> None:
    words = ("--pooling", "max", "--pooling", "mean", "--threshold", "prevalence", "--no-abstain")
    status, told = invoke("--predictions", predictions, "--model", model, *words)
    assert status == 0, told
    assert "max" in told
    assert "41 videos" not in told
    assert "(prevalence)" in told
    scoring = read_scoring(model).tasks["ah"]
    assert scoring.abstention == NEVER
    assert [item.pooling for item in scoring.choice.candidates] == ["max", "mean"]
    assert scoring.id[:12] in told


def test_the_segments_that_the_checkpoint_learned_are_what_is_calibrated(
    predictions: Path, model: Path
) -> None:
    learned = ModelProfile(sampling=SMALL, max_seconds=8.0, prompt_hashes={"ah": AH.prompt_hash})
    write_profile(model, learned)
    status, told = invoke("--predictions", predictions, "--model", model)
    assert status == 2
    assert "segments of other length than the checkpoint's 8 s" in " ".join(told.split())
    settings = predictions.parent / "run.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"max_seconds": 8.0}))
    status, told = invoke("--predictions", predictions, "--model", model)
    assert status == 0, told
    assert read_scoring(model).tasks["ah"].max_seconds == 8.0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"prompt": "0" * 64}, "another prompt"),
        ({"max_seconds": 8.0}, "segments of other length"),
        ({"ablation": "audio"}, "audio taken away"),
        ({"weights": "0" * 64}, "other weights"),
    ],
)
def test_predictions_that_say_nothing_about_this_checkpoint_are_refused(
    predictions: Path, model: Path, changed: dict[str, str], says: str
) -> None:
    settings = predictions.parent / "run.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changed))
    status, told = invoke("--predictions", predictions, "--model", model)
    assert status == 2
    assert says in told
    assert not (model / "scoring.json").exists()


def test_bad_options_are_one_sentence(predictions: Path, model: Path, tmp_path: Path) -> None:
    for words, code in (
        (("--threshold", "best"), "unknown_threshold_policy"),
        (("--pooling", "median"), "unknown_pooling"),
        (("--task", tmp_path / "none.yaml"), "unknown_task"),
    ):
        status, told = invoke("--predictions", predictions, "--model", model, *words, "--json")
        assert status == 2
        assert json.loads(told)["error"]["code"] == code
    status, told = invoke("--predictions", predictions, "--model", tmp_path, "--json")
    assert (status, json.loads(told)["error"]["code"]) == (2, "bad_checkpoint")


def test_figures_on_the_split_that_chose_the_checkpoint_are_labelled(
    predictions: Path, model: Path
) -> None:
    recipe = {"split": "train", "evaluation": {"split": "val"}}
    manifest = {
        "recipe": recipe, "rows": {"examples_sha256": "e" * 64}, "evaluations": [{"step": 1}],
    }  # fmt: skip
    (model / "manifest.json").write_text(json.dumps(manifest))
    status, told = invoke("--predictions", predictions, "--model", model)
    assert status == 0, told
    assert "also chose the checkpoint" in told
    assert read_scoring(model).tasks["ah"].made_from.chose_checkpoint is True

"""The stage of a fine-tuning that leaves scoring.json beside the checkpoint."""

import json
import shutil
from pathlib import Path

import pytest

from finetune.calibrate import CalibrateStage, calibrate_checkpoint
from finetune.progress import Progress
from finetune.recipe import load_recipe
from finetune.run import run
from mllm_affect.data.examples import read_examples
from mllm_affect.data.made.folders import make_folders
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.scoring_file import read_scoring
from mllm_affect.tasks.prompts import load_task

TASK = load_task("ah_demo")
PROFILE = ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_folders(folder, {"train": 4, "test": 12}, seed=5)
    return folder


def test_every_video_of_the_split_is_asked_and_the_file_written(
    clips: Path, tmp_path: Path
) -> None:
    told: list[Progress] = []
    (tmp_path / "config.json").write_text("{}")
    ids = calibrate_checkpoint(
        tmp_path, PROFILE, clips, CalibrateStage(split="test", folds=3), [TASK],
        EchoEngine(), told.append,
    )  # fmt: skip
    scoring = read_scoring(tmp_path).tasks["ah_demo"]
    assert ids == {"ah_demo": scoring.id}
    assert scoring.made_from.weights == weights_hash(tmp_path)
    assert scoring.made_from.videos == 12
    assert scoring.made_from.split == "test"
    assert (told[0].done, told[-1].done, told[-1].total) == (0, 12, 12)
    video = clips / next(e.video for e in read_examples(clips) if e.split == "test")
    answer = answer_video(video, TASK, EchoEngine(), PROFILE, scorings=read_scoring(tmp_path))
    assert answer.calibration == scoring.id


def test_a_split_that_cannot_calibrate_is_refused_before_training(
    clips: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("miniature-lora", {"data": clips, "calibrate": {"split": "val"}})
    with pytest.raises(UserError, match="'val'"):
        run(recipe, tmp_path / "out")
    one_sided = tmp_path / "one-sided"
    shutil.copytree(clips, one_sided)
    listed = one_sided / "examples.jsonl"
    rows = [json.loads(line) for line in listed.read_text().splitlines()]
    for row in rows:
        row["split"], row["labels"]["ah_demo"] = "val", "yes"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError) as caught:
        run(recipe.model_copy(update={"data": one_sided}), tmp_path / "out")
    assert caught.value.code == "one_sided_labels"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("chosen_on", "same"), [("test", True), ("val", False), (None, False)])
def test_a_fit_on_the_split_that_chose_the_checkpoint_says_so(
    clips: Path, tmp_path: Path, chosen_on: str | None, same: bool
) -> None:
    (tmp_path / "config.json").write_text("{}")
    calibrate_checkpoint(
        tmp_path, PROFILE, clips, CalibrateStage(split="test", folds=3, poolings=("mean",)),
        [TASK], EchoEngine(), lambda _: None, chosen_on=chosen_on, trusted=True,
    )  # fmt: skip
    assert read_scoring(tmp_path).tasks["ah_demo"].made_from.chose_checkpoint is same

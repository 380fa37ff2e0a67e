"""Evaluation during training: the figure of `evaluate`, the best checkpoint, an early end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from eval.metrics import confusion, macro_f1
from finetune.asking import answered
from finetune.evaluating.choice import is_best, is_over
from finetune.evaluating.figure import mean_macro_f1
from finetune.evaluating.stage import EvaluationOrder, EvaluationStage, evaluated_examples
from finetune.recipe import load_recipe
from finetune.run import make_plan, run
from mllm_affect.data.made.folders import make_folders
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.prompts import load_task

TASK = load_task("ah_demo")
PROFILE = ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_folders(folder, {"train": 24, "test": 12}, seed=5)
    return folder


@pytest.mark.parametrize(
    ("scores", "patience", "best", "over"),
    [
        ([0.5], 1, True, False),
        ([0.5, 0.5], 1, False, True),
        ([0.5, 0.6], 1, True, False),
        ([0.7, 0.6, 0.65], 3, False, False),
        ([0.7, 0.6, 0.65, 0.7], 3, False, True),
        ([0.7, 0.1, 0.1, 0.1], None, False, False),
    ],
)
def test_the_first_of_equals_is_best_and_patience_counts_from_it(
    scores: list[float], patience: int | None, best: bool, over: bool
) -> None:
    assert is_best(scores) is best
    assert is_over(scores, patience) is over


def test_the_figure_is_that_of_evaluation(clips: Path) -> None:
    examples = evaluated_examples(clips, "test", [TASK])
    found = list(answered(clips, examples, [TASK], EchoEngine(), PROFILE, None, trusted=True))
    assert len(found) == 12
    labels = [example.labels["ah_demo"] for _, example, _ in found]
    said = [answer.answer if answer else None for _, _, answer in found]
    assert len(set(said)) == 2, "an engine that always says the same tells nothing"
    assert mean_macro_f1(found) == pytest.approx(macro_f1(confusion(labels, said, TASK.answers)))


def test_a_video_that_cannot_be_used_counts_as_wrong(clips: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clips, tmp_path / "clips")
    examples = evaluated_examples(folder, "test", [TASK])
    (folder / examples[0].video).write_bytes(b"no video")
    found = list(answered(folder, examples, [TASK], EchoEngine(), PROFILE, None, trusted=True))
    assert found[0][2] is None
    labels = [example.labels["ah_demo"] for _, example, _ in found]
    other = {"yes": "no", "no": "yes"}
    said = [other[labels[0]], *(answer.answer for _, _, answer in found[1:] if answer)]
    assert mean_macro_f1(found) == pytest.approx(macro_f1(confusion(labels, said, TASK.answers)))


def test_the_order_comes_back_as_it_was_written(tmp_path: Path) -> None:
    order = EvaluationOrder(
        stage=EvaluationStage(split="val", every=7, patience=2), base=tmp_path, data=tmp_path,
        tasks=(TASK,), profile=PROFILE, cache=tmp_path / "kept", trusted=False,
    )  # fmt: skip
    order.write(tmp_path)
    assert EvaluationOrder.read(tmp_path) == order


def test_what_cannot_be_evaluated_is_refused_before_any_work(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'val'"):
        run(load_recipe("miniature-lora", {"data": clips, "evaluation": {}}), tmp_path / "out")
    with pytest.raises(UserError, match="no positive answer"):
        evaluated_examples(clips, "test", [TASK.model_copy(update={"positive": None})])
    assert not (tmp_path / "out").exists()


def test_without_evaluation_nothing_is_called_for_it(clips: Path, tmp_path: Path) -> None:
    plain = load_recipe("miniature-lora", {"data": clips})
    assert "mllm_affect_evaluate" not in make_plan(plain, tmp_path).command.arguments
    asked = plain.model_copy(update={"evaluation": EvaluationStage()})
    words = make_plan(asked, tmp_path).command.arguments
    assert "mllm_affect_evaluate" in words
    assert words[words.index("--save_only_model") + 1] == "false", "a resume needs the optimizer"


def start(clips: Path, out: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "mllm_affect", "finetune", "run", "--json", "--trusted"]
    words += ["--config", "miniature-lora", "--data", str(clips), "--out", str(out)]
    evaluation = "evaluation={split: test, every: 4, patience: 3}"
    for setting in ("max_steps=60", "learning_rate=0.004", "save_steps=3", evaluation):
        words += ["--set", setting]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
    )  # fmt: skip


def finish(running: "subprocess.Popen[str]") -> None:
    said, _ = running.communicate(timeout=600)
    assert running.returncode == 0, said[-3000:]


@pytest.mark.rebuild
@pytest.mark.timeout(1800)
def test_the_best_checkpoint_is_kept_and_scores_what_was_said(clips: Path, tmp_path: Path) -> None:
    finish(start(clips, tmp_path / "out"))
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    scores = [item["macro_f1"] for item in manifest["evaluations"]]
    steps = [item["step"] for item in manifest["evaluations"]]
    assert steps == [4 * number for number in range(1, len(steps) + 1)]
    assert len(scores) > 3
    assert is_over(scores, 3), "it ended because nothing got better"
    assert not is_over(scores[:-1], 3)
    assert manifest["steps"] == steps[-1] < 60
    assert manifest["checkpoint_step"] == steps[scores.index(max(scores))]
    card = (tmp_path / "out/merged/README.md").read_text()
    assert f"kept: step {manifest['checkpoint_step']}" in card

    # The same split, asked by `evaluate` of the checkpoint that was left.
    words = [sys.executable, "-m", "mllm_affect", "evaluate", "ah_demo", "--data", str(clips)]
    words += ["--model", str(tmp_path / "out/merged"), "--out", str(tmp_path / "evaluated")]
    subprocess.run([*words, "--split", "test", "--trusted"], check=True, capture_output=True)
    metrics = json.loads((tmp_path / "evaluated/metrics.json").read_text())
    assert metrics["macro_f1"] == pytest.approx(max(scores), abs=1e-6)

    # Killed between two evaluations, it evaluates, chooses and ends as before.
    running = start(clips, tmp_path / "killed")
    log = tmp_path / "killed/training/logging.jsonl"
    until = time.monotonic() + 300
    while not (log.is_file() and '"7/60"' in log.read_text()):
        assert time.monotonic() < until
        assert running.poll() is None
        time.sleep(0.02)
    family = psutil.Process(running.pid).children(recursive=True)
    for pid in [*(process.pid for process in family), running.pid]:
        os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=60)
    assert (tmp_path / "killed/training").is_dir(), "something to go on from"
    finish(start(clips, tmp_path / "killed"))
    again = json.loads((tmp_path / "killed/manifest.json").read_text())
    assert again["evaluations"] == manifest["evaluations"]
    kept = "adapter/adapter_model.safetensors"
    assert (tmp_path / "killed" / kept).read_bytes() == (tmp_path / "out" / kept).read_bytes()

"""Sampled answers are rewarded, and the miniature earns more of it on clips it has not seen."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from finetune.recipe import load_recipe
from finetune.run import run
from mllm_affect.data.examples import read_examples
from mllm_affect.data.made.folders import make_folders
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.pipeline import answer_video
from mllm_affect.tasks.prompts import load_task

TASK = "ah_demo"


def mean_reward(checkpoint: Path, folder: Path) -> float:
    """What an answer drawn from the allowed ones earns on average: the right one's probability."""
    task, profile = load_task(TASK), read_profile(checkpoint)
    engine = TransformersEngine(checkpoint)
    try:
        return fmean(
            answer_video(
                folder / one.video, task, engine, profile, force=True, trusted=True
            ).uncalibrated[one.labels[task.label_name]]
            for one in read_examples(folder)
            if one.split == "test"
        )
    finally:
        engine.close()


@pytest.mark.rebuild
@pytest.mark.timeout(900)
def test_rewards_alone_teach_the_miniature_new_words(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    make_folders(clips, {"train": 160, "test": 64}, seed=11)
    before = mean_reward(embedded_checkpoint(), clips)
    out = tmp_path / "out"
    outcome = run(load_recipe("miniature-grpo", {"data": clips}), out, trusted=True)
    assert mean_reward(outcome.checkpoint, clips) >= before + 0.2
    lines = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    rewards = [line["reward"] for line in lines if "reward" in line]
    assert len(rewards) == outcome.steps
    # Sampled hot and few a step: that it rises is all that can be asked of this noise.
    assert fmean(rewards[-10:]) > fmean(rewards[:3])
    assert (out / "loss.png").stat().st_size > 0

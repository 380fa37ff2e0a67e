"""Rows and rewards for reinforcement learning, as ms-swift itself reads and calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from noise_inputs import noise_input

from finetune.rewarding import allowed_answers, right_answers
from mllm_affect.files import write_jsonl
from mllm_affect.tasks.rows import without_answer, write_row

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ("yes", "no")


def test_rewards_take_the_prompts_format_to_the_letter() -> None:
    said = ["yes", " yes\n", "Yes", "yes.", "yes no", "no", ""]
    assert right_answers(said, ["yes"] * 7) == [1, 1, 0, 0, 0, 0, 0]
    assert allowed_answers(said, [ANSWERS] * 7) == [1, 1, 0, 0, 0, 1, 0]


@pytest.mark.rebuild
def test_ms_swift_keeps_the_solution_and_calls_the_rewards(tmp_path: Path) -> None:
    rows = [
        write_row(tmp_path, noise_input(seed), answer)
        for seed, answer in enumerate(("yes", "yes", "no", "no"))
    ]
    allowed = {noise_input(0).text: ANSWERS}
    write_jsonl(tmp_path / "grpo.jsonl", (without_answer(row, allowed) for row in rows))
    words = [
        sys.executable,
        str(Path(__file__).with_name("grpo_side.py")),
        "grpo.jsonl",
        str(ROOT / "finetune/rewards_plugin.py"),
    ]
    home = {"MODELSCOPE_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf")}
    environment = os.environ | home | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["roles"] == [["user"]] * 4
    assert found["solution"] == ["yes", "yes", "no", "no"]
    assert found["allowed"] == [["yes", "no"]] * 4
    assert found["rewards"]["mllm_affect_right"] == [1.0, 0.0, 0.0, 0.0]
    assert found["rewards"]["mllm_affect_allowed"] == [1.0, 1.0, 0.0, 0.0]

"""Two processes over gloo train as one does with the same rows a step."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from finetune.recipe import load_recipe
from finetune.run import run
from mllm_affect.data.made.folders import make_folders
from mllm_affect.files import read_jsonl

STEPS, ROWS_A_STEP = 20, 4


def trained(processes: int, clips: Path, untrained: Path, out: Path) -> Path:
    changes = {
        "data": clips, "model": str(untrained), "gpus": processes, "max_steps": STEPS,
        "batch_size": ROWS_A_STEP // processes, "check_merge": 0,
        "lora_dropout": 0.0,  # each process draws masks of its own
        "evaluation": {"split": "test", "every": 5},
    }  # fmt: skip
    run(load_recipe("miniature-lora", changes), out, trusted=True)
    return out


@pytest.mark.rebuild
@pytest.mark.timeout(600)
def test_two_processes_train_as_one_does(untrained: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    make_folders(clips, {"train": 12, "test": 4}, seed=5)
    one, two = (trained(n, clips, untrained, tmp_path / str(n)) for n in (1, 2))
    losses = [
        [line["loss"] for line in read_jsonl(out / "steps.jsonl") if "loss" in line][:STEPS]
        for out in (one, two)
    ]
    assert len(losses[0]) == STEPS
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=1e-4)
    assert losses[0][0] - losses[0][-1] > 0.5, "it learned something"
    figures = [json.loads((out / "manifest.json").read_text())["evaluations"] for out in (one, two)]
    assert [item["step"] for item in figures[0]] == [5, 10, 15, 20]
    assert figures[1] == figures[0]
    adapters = [load_file(out / "adapter/adapter_model.safetensors") for out in (one, two)]
    for name, weights in adapters[0].items():
        np.testing.assert_allclose(adapters[1][name], weights, rtol=0, atol=1e-4)

"""A training sees exactly as many GPUs as its recipe names."""

from pathlib import Path

import pytest
from large_base import write_large_base

from finetune import devices
from finetune.devices import check_gpus, chosen_gpus
from finetune.recipe import load_recipe
from finetune.run import make_plan, run
from mllm_affect.errors import UserError

TWO = load_recipe("qwen3-omni-30b-a3b-lora", {"gpus": 2})


@pytest.mark.parametrize(
    ("named", "chosen"),
    [
        (None, "0,1"),
        ("", "0,1"),
        ("5", "5"),
        ("3, 5,7", "3,5"),
        ("GPU-8932f937,GPU-1,GPU-2", "GPU-8932f937,GPU-1"),
    ],
)
def test_the_first_of_the_visible_gpus_are_used(named: str | None, chosen: str) -> None:
    environment = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert chosen_gpus(TWO, environment) == chosen


def test_one_process_sees_one_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,4,5")
    base = str(write_large_base(tmp_path / "base"))
    for gpus, seen in ((1, "2"), (2, "2,3"), (4, "2,3,4,5")):
        recipe = load_recipe("qwen3-omni-30b-a3b-lora", {"gpus": gpus, "model": base})
        plan = make_plan(recipe, tmp_path / "out", weights=False)
        assert (
            plan.command.environment({"CUDA_VISIBLE_DEVICES": "9"})["CUDA_VISIBLE_DEVICES"] == seen
        )


def test_a_recipe_for_more_gpus_than_there_are_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: 2)
    check_gpus(TWO)
    base = str(write_large_base(tmp_path / "base"))
    recipe = load_recipe("qwen3-omni-30b-a3b-lora", {"gpus": 8, "model": base, "data": "nowhere"})
    with pytest.raises(UserError, match="8 GPUs, of which 2 are visible") as caught:
        run(recipe, tmp_path / "out")
    assert caught.value.code == "too_few_gpus"
    assert not (tmp_path / "out").exists()
    check_gpus(load_recipe("miniature-lora", {"gpus": 8}))  # processes on the CPU

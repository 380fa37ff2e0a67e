"""A training sees exactly as many GPUs as its recipe names."""

from pathlib import Path
from typing import Any

import pytest
from large_base import write_large_base

from finetune import devices
from finetune.devices import check_gpus, chosen_gpus
from finetune.recipe import load_recipe, shipped_recipes
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


@pytest.fixture(scope="module")
def swift_parser() -> Any:
    from swift.arguments import SftArguments
    from swift.utils.utils import _patch_get_type_hints
    from transformers import HfArgumentParser

    with _patch_get_type_hints():
        return HfArgumentParser([SftArguments])


GPU_RECIPES = [name for name in shipped_recipes() if name.startswith("qwen3-omni")]


@pytest.mark.slow
@pytest.mark.parametrize("visible", [1, 2, 4, 8])
@pytest.mark.parametrize("name", GPU_RECIPES)
def test_every_gpu_recipe_is_read_by_ms_swift_at_every_count(
    name: str, visible: int, swift_parser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "visible_gpus", lambda: visible)
    base = str(write_large_base(tmp_path / "base"))
    shipped = load_recipe(name)
    if shipped.gpus > visible:
        with pytest.raises(UserError, match=f"of which {visible} are visible"):
            check_gpus(shipped)
    recipe = load_recipe(name, {"gpus": visible, "model": base})
    check_gpus(recipe)
    command = make_plan(recipe, tmp_path / "out", weights=False).command
    kind, *words = command.arguments
    assert kind == "sft"
    read = swift_parser.parse_args(words)
    assert read.model == base
    assert read.per_device_train_batch_size == recipe.batch_size
    assert command.variables["CUDA_VISIBLE_DEVICES"] == ",".join(map(str, range(visible)))
    assert command.variables.get("NPROC_PER_NODE", "1") == str(visible)

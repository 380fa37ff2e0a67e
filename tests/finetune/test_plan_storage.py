"""Disk and host memory of a training, held to what DeepSpeed and transformers keep a weight."""

from pathlib import Path

import pytest
from large_base import write_large_base

from finetune.planning.counts import Parts
from finetune.planning.plan import TrainingPlan, make_training_plan
from finetune.planning.storage import disk, host_memory
from finetune.recipe import load_recipe
from finetune.run import make_plan

PARTS = Parts(language=10, experts=1000, vision=20, audio=30, projectors=40)
GIB = 2**30


def plan_of(name: str, folder: Path) -> TrainingPlan:
    recipe = load_recipe(name, {"model": str(write_large_base(folder))})
    settled = make_plan(recipe, folder / "out", weights=False)
    return make_training_plan(
        recipe, settled.base, settled.tasks, settled.sampling, settled.command,
        rows=1000, size=(1280, 720),
    )  # fmt: skip


def test_a_full_training_with_deepspeed_writes_fourteen_bytes_a_trained_weight() -> None:
    recipe = load_recipe("qwen3-omni-30b-a3b-full")
    trained = 1050
    each = trained * (2 + 4 + 4 + 4) + (PARTS.total - trained) * 2
    assert disk(recipe, PARTS, trained).bytes == PARTS.total * 2 + 3 * each
    alone = recipe.model_copy(update={"deepspeed": None})
    assert disk(alone, PARTS, trained).bytes < disk(recipe, PARTS, trained).bytes
    ended = recipe.model_copy(update={"save_steps": None})
    assert disk(ended, PARTS, trained).bytes == 2 * PARTS.total * 2


def test_the_result_keeps_the_bases_speech_output() -> None:
    recipe = load_recipe("qwen3-omni-30b-a3b-lora")
    plain = disk(recipe, PARTS, 8)
    spoken = disk(recipe, PARTS, 8, base_bytes=PARTS.total * 2 + 500)
    assert spoken.bytes - plain.bytes == 500
    assert "500 bytes of speech output" in spoken.formula


def test_every_rank_builds_the_experts_before_zero3_shares_them() -> None:
    recipe = load_recipe("qwen3-omni-30b-a3b-full")
    assert host_memory(recipe, PARTS).bytes == recipe.gpus * PARTS.experts * 2
    shared = recipe.model_copy(update={"deepspeed": "zero2"})
    assert host_memory(shared, PARTS).bytes == 0
    small = load_recipe("miniature-lora")
    assert host_memory(small, PARTS).bytes == PARTS.total * 4


@pytest.mark.parametrize(
    ("name", "terabytes"), [("full", 1.353), ("lora", 0.064), ("lora-ddp", 0.064)]
)
def test_shipped_recipes_at_true_size(name: str, terabytes: float, tmp_path: Path) -> None:
    plan = plan_of(f"qwen3-omni-30b-a3b-{name}", tmp_path)
    assert plan.disk.bytes == pytest.approx(terabytes * 1e12, rel=0.01)
    assert plan.memory.peak < 78 * GIB  # of 80 GB cards, drivers and libraries aside
    assert (plan.host.bytes == 0) == (name == "lora-ddp")

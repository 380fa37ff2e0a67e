"""A training's plan: rows, steps, memory and disk, and the command that would run.

Does: put the estimates together.  Does not: load weights, decode videos, or run anything.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.base import BaseCheckpoint
from finetune.command import TrainingCommand
from finetune.planning.counts import Parts, Shape, count, count_lora
from finetune.planning.memory import Memory, Setting, estimate
from finetune.planning.rows import RowSize, row_size
from finetune.recipe import Recipe
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.task import Task

DTYPE_BYTES = {"float32": 4, "bfloat16": 2}
ADAPTER_BYTES = 4
"""peft keeps an adapter of a bfloat16 model in float32."""
ZERO = {None: 0, "zero2": 2, "zero3": 3}
KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Steps:
    """How long it trains: rows a step over all devices, steps, and how they follow."""

    rows_a_step: int
    steps: int | None
    formula: str


@dataclass(frozen=True)
class TrainingPlan:
    """All that `finetune plan` tells; `seconds` and the frame size are those of the longest row."""

    parts: Parts
    trained: int
    row: RowSize
    steps: Steps
    memory: Memory
    disk_bytes: int
    disk_formula: str
    command: TrainingCommand


def make_training_plan(
    recipe: Recipe,
    base: BaseCheckpoint,
    tasks: tuple[Task, ...],
    sampling: Sampling,
    command: TrainingCommand,
    *,
    rows: int | None,
    size: tuple[int, int],
) -> TrainingPlan:
    """Return the plan of a recipe on a checkpoint; `rows`: of the training split, if known.

    `size`: width and height of the videos.  Raises UserError as `row_size`.
    """
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    shape = Shape.of(config)
    parts = count(shape)
    trained = trained_parameters(recipe, shape, parts)
    row = row_size(tasks, sampling, recipe.max_seconds, *size)
    setting = setting_of(recipe, parts, trained, row)
    disk, formula = _disk(recipe, parts, trained)
    return TrainingPlan(
        parts, trained, row, _steps(recipe, rows), estimate(shape, setting), disk, formula, command
    )


def trained_parameters(recipe: Recipe, shape: Shape, parts: Parts) -> int:
    """Return how many parameters get a gradient."""
    if recipe.method == "lora":
        return count_lora(shape, recipe.lora_rank, recipe.lora_targets)
    sizes = {
        "llm": parts.language + parts.experts,
        "vision": parts.vision,
        "audio": parts.audio,
        "projectors": parts.projectors,
    }
    return sum(size for name, size in sizes.items() if name not in recipe.frozen)


def setting_of(recipe: Recipe, parts: Parts, trained: int, row: RowSize) -> Setting:
    """Return what the memory of a recipe's step depends on."""
    lora, size = recipe.method == "lora", DTYPE_BYTES[recipe.dtype]
    return Setting(
        trained=trained,
        held=parts.total if lora else parts.total - trained,
        weight_bytes=size,
        trained_bytes=ADAPTER_BYTES if lora else size,
        zero=ZERO[recipe.deepspeed],
        shards=recipe.gpus,
        rows=recipe.batch_size,
        tokens=row.tokens,
        input_bytes=row.input_bytes,
        checkpointing=recipe.gradient_checkpointing,
    )


def _steps(recipe: Recipe, rows: int | None) -> Steps:
    together = recipe.batch_size * recipe.accumulation * recipe.gpus
    words = f"{recipe.batch_size} rows x {recipe.accumulation} accumulated x {recipe.gpus} devices"
    if recipe.max_steps is not None:
        return Steps(together, recipe.max_steps, f"max_steps; {words} a step")
    if rows is None or recipe.epochs is None:
        return Steps(together, None, f"{recipe.epochs:g} passes; {words} a step")
    steps = math.ceil(math.ceil(rows / together) * recipe.epochs)
    return Steps(together, steps, f"{rows} rows / ({words}) x {recipe.epochs:g} passes")


def _disk(recipe: Recipe, parts: Parts, trained: int) -> tuple[int, str]:
    """The merged checkpoint, and while it trains the newest checkpoints and one being written."""
    size = DTYPE_BYTES[recipe.dtype]
    result = parts.total * size
    lora = recipe.method == "lora"
    each = trained * (ADAPTER_BYTES * 3 if lora else size * 3)
    if not lora:
        each += (parts.total - trained) * size
    if recipe.save_steps is None:
        each = trained * ADAPTER_BYTES if lora else result
    kept = KEPT_CHECKPOINTS + 1 if recipe.save_steps else 1
    formula = f"{parts.total:,} x {size} bytes + {kept} checkpoints x {each:,} bytes"
    return result + kept * each, formula


def as_dict(plan: TrainingPlan) -> Mapping[str, Any]:
    """Return plain values for JSON."""
    return {
        "parameters": {**vars(plan.parts), "total": plan.parts.total, "trained": plan.trained},
        "row": {**vars(plan.row), "tokens": plan.row.tokens},
        "steps": vars(plan.steps),
        "memory": {
            "shares": [vars(share) for share in plan.memory.shares],
            "peak": plan.memory.peak,
            "formula": plan.memory.formula,
        },
        "disk": {"bytes": plan.disk_bytes, "formula": plan.disk_formula},
        "command": plan.command.shell(),
    }

"""A training's plan: rows, steps, memory, host and disk, and the command that would run.

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
from finetune.planning.storage import ADAPTER_BYTES, DTYPE_BYTES, Estimate, disk, host_memory
from finetune.recipe import Recipe
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.task import Task

ZERO = {None: 0, "zero2": 2, "zero3": 3}


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
    disk: Estimate
    host: Estimate
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
    weights = sum(path.stat().st_size for path in base.weight_files) or None
    return TrainingPlan(
        parts, trained, row, _steps(recipe, rows), estimate(shape, setting),
        disk(recipe, parts, trained, weights), host_memory(recipe, parts), command,
    )  # fmt: skip


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
        "disk": vars(plan.disk),
        "host": vars(plan.host),
        "command": plan.command.shell(),
    }

"""Fine-tuning from a recipe to a checkpoint that can be served.

Does: plan (checkpoint, tasks, sampling, command), prepare rows, run ms-swift as a child, check
that it read every row and trained what the recipe says, and write adapter, checkpoint, profile
and manifest.  Does not: draw progress, or train by itself.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.base import BaseCheckpoint, choose_sampling, load_processor, read_base
from finetune.calibrate import calibrate_checkpoint, load_engine, validation_examples
from finetune.checking.rows import check_rows, limits_beside, refuse_bad_rows
from finetune.child import run_child
from finetune.command import ROWS_NAME, TrainingCommand, training_command
from finetune.folders import gather_full, new_folder
from finetune.megc.prepare import ExpressionPreparation, prepare_expressions
from finetune.merge import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    merge_adapter,
    outside_language_model,
    read_adapter,
)
from finetune.prepare import Preparation, prepare_rows
from finetune.progress import Progress, StepLog, last_words, rows_read
from finetune.recipe import Recipe
from mllm_affect.data.megc.layout import is_megc
from mllm_affect.errors import EngineError, UserError
from mllm_affect.files import sha256_file, sha256_json, write_json
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.sampling.policy import Uniform
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import FILE_NAME, ModelProfile, write_profile
from mllm_affect.tasks.prompts import load_family, shipped_family_ids, tasks_named
from mllm_affect.tasks.task import Task

Report = Callable[[Progress], None]

ROWS, WORK, ADAPTER, MERGED, FULL = "rows", "training", "adapter", "merged", "model"
LOG_NAME, STEPS_NAME, MANIFEST_NAME = "train.log", "steps.jsonl", "manifest.json"
RECORDED = ("mllm-affect", "ms-swift", "torch", "transformers", "peft", "deepspeed")


@dataclass(frozen=True)
class Plan:
    """What a recipe means for one output folder, before any data is touched."""

    recipe: Recipe
    out: Path
    base: BaseCheckpoint
    tasks: tuple[Task, ...]
    sampling: Sampling
    command: TrainingCommand


@dataclass(frozen=True)
class Outcome:
    """What a finished fine-tuning left: `checkpoint` is the folder to serve."""

    checkpoint: Path
    adapter: Path | None
    steps: int
    loss: float | None
    manifest: dict[str, Any]


def make_plan(recipe: Recipe, out: Path) -> Plan:
    """Settle checkpoint, tasks, sampling and command.  Raises UserError; touches no file."""
    out = out.expanduser().resolve()
    base = read_base(recipe.model)
    tasks = tuple(task for name in recipe.tasks for task in tasks_named(name))
    sampling = choose_sampling(recipe, base, tasks)
    command = training_command(recipe, base, sampling, out / ROWS, out / WORK)
    return Plan(recipe, out, base, tasks, sampling, command)


def run(
    recipe: Recipe,
    out: Path,
    report: Report = lambda _progress: None,
    cache: ClipCache | None = None,
    *,
    trusted: bool = False,
) -> Outcome:
    """Fine-tune as `recipe` says and write everything into the folder `out`.

    `cache`: where decoded clips are kept.  `trusted` videos are decoded in this process.

    Raises UserError for what the user gave, EngineError
    `training_failed` when ms-swift fails.  On any exception, Ctrl-C included, the child processes
    are gone and no unfinished checkpoint is left; prepared rows and the log stay.
    """
    plan = make_plan(recipe, out)
    _check_room(plan)
    if recipe.data is None:
        raise UserError("no_data", "The recipe names no data; give --data FOLDER.")
    if recipe.calibrate is not None:
        validation_examples(recipe.data, recipe.calibrate, plan.tasks)
    started = time.monotonic()
    rows = _prepare(plan, recipe.data, report, cache, trusted)
    _refuse_bad_rows(plan, report)
    steps = _train(plan, int(rows["rows"]), report)
    report(Progress("merge"))
    adapter, checkpoint = _collect(plan)
    for folder in filter(None, (adapter, checkpoint)):
        write_profile(folder, _profile(plan))
    calibrations = _calibrate(plan, recipe.data, checkpoint, report, cache, trusted)
    manifest = _manifest(plan, rows, steps, time.monotonic() - started)
    manifest["calibrations"] = calibrations
    write_json(checkpoint / MANIFEST_NAME, manifest)
    write_profile(plan.out, _profile(plan))
    write_json(plan.out / MANIFEST_NAME, manifest)
    shutil.rmtree(plan.out / WORK)
    return Outcome(checkpoint, adapter, steps[-1].done, steps[-1].loss, manifest)


def merge(adapter: Path, base: str, out: Path) -> Path:
    """Fold the peft adapter in folder `adapter` into `base`; return the new folder `out`.

    The profile is the adapter's where it has one, else the base's.  Raises UserError.
    """
    checkpoint = read_base(base)
    merge_adapter(read_adapter(adapter), checkpoint, out)
    beside = adapter / FILE_NAME
    profile = checkpoint.profile
    if beside.is_file():
        profile = ModelProfile.model_validate_json(beside.read_text(encoding="utf-8"))
    write_profile(out, profile)
    weights = sha256_file(adapter / ADAPTER_WEIGHTS)
    made_from = {"adapter_sha256": weights, "base_sha256": checkpoint.fingerprint()}
    write_json(out / MANIFEST_NAME, made_from | {"versions": _versions()})
    return out


def _check_room(plan: Plan) -> None:
    if (plan.out / MANIFEST_NAME).exists():
        raise UserError(
            "out_exists", f"{plan.out} holds a finished fine-tuning; name a new folder."
        )
    if list((plan.out / WORK).glob("checkpoint-*")):
        raise UserError(
            "out_exists",
            f"{plan.out / WORK} holds checkpoints of an unfinished fine-tuning; "
            "name a new folder, or remove that one.",
        )


def _refuse_bad_rows(plan: Plan, report: Report) -> None:
    """Decode and encode every row as the trainer will.  Raises UserError `bad_rows`."""
    path = plan.out / ROWS / ROWS_NAME
    limits = limits_beside(path, plan.tasks, plan.recipe.max_length)
    refuse_bad_rows(
        check_rows(
            [path],
            limits,
            load_processor(plan.base.folder),
            lambda done, total: report(Progress("check", done, total)),
        )
    )


def _prepare(
    plan: Plan, data: Path, report: Report, cache: ClipCache | None, trusted: bool
) -> dict[str, Any]:
    """Write the rows of the recipe's data; return their manifest."""
    recipe, folder = plan.recipe, plan.out / ROWS
    seed = recipe.seed if recipe.balance_seed is None else recipe.balance_seed
    if is_megc(data):
        families = tuple(map(load_family, families_of(recipe)))
        expressions = ExpressionPreparation(
            families, _profile(plan), recipe.expressions, recipe.balance, seed,
            plan.sampling,
        )  # fmt: skip
        return prepare_expressions(data, expressions, folder, report, trusted=trusted)
    preparation = Preparation(
        plan.tasks, plan.sampling, recipe.split, recipe.max_seconds, recipe.segment_rule,
        recipe.balance, seed,
    )  # fmt: skip
    return prepare_rows(data, preparation, folder, report, cache, trusted=trusted)


def families_of(recipe: Recipe) -> list[str]:
    """Return the families of tasks that a recipe for the micro-expression challenge names.

    Raises UserError `bad_recipe` for anything else: its data have labels for these alone.
    """
    strange = [name for name in recipe.tasks if name not in shipped_family_ids()]
    if strange:
        known = ", ".join(shipped_family_ids())
        raise UserError(
            "bad_recipe",
            f"The data are of the micro-expression challenge, which has no labels for {strange[0]};"
            f" set tasks to some of {known}.",
        )
    return list(recipe.tasks)


def _train(plan: Plan, rows: int, report: Report) -> list[Progress]:
    """Run ms-swift; return its steps.  Removes the work folder unless it holds a checkpoint."""
    work, log_path = plan.out / WORK, plan.out / LOG_NAME
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    steps: list[Progress] = []
    step_log = StepLog(work / "logging.jsonl")

    def watch() -> None:
        for step in step_log.new_steps():
            steps.append(step)
            report(step)

    report(Progress("start"))
    try:
        command = plan.command
        status = run_child(
            command.argv, command.environment(os.environ), command.folder, log_path, watch
        )
        log = log_path.read_text(encoding="utf-8", errors="replace")
        _check_run(status, log, log_path, rows, steps)
    except BaseException:
        if not list(work.glob("checkpoint-*")):
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.copyfile(work / "logging.jsonl", plan.out / STEPS_NAME)
    return steps


def _check_run(status: int, log: str, log_path: Path, rows: int, steps: list[Progress]) -> None:
    if status != 0:
        raise EngineError(
            "training_failed",
            f"ms-swift stopped with status {status}: {last_words(log)} (all of it: {log_path})",
        )
    if rows_read(log) != rows:
        raise EngineError(
            "training_failed",
            f"ms-swift was given {rows} rows and says it read {rows_read(log)}; see {log_path}.",
        )
    if not steps or steps[-1].done != steps[-1].total:
        raise EngineError("training_failed", f"ms-swift ended early; see {log_path}.")


def _collect(plan: Plan) -> tuple[Path | None, Path]:
    """Take the last checkpoint out of the work folder: (adapter, checkpoint to serve)."""
    saved = max(
        (plan.out / WORK).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])
    )
    if plan.recipe.method == "full":
        gather_full(saved, plan.base.folder, plan.out / FULL)
        return None, plan.out / FULL
    adapter = read_adapter(saved)
    outside = outside_language_model(adapter)
    if outside:
        raise EngineError(
            "training_failed",
            f"ms-swift adapted {outside[0]}, which the recipe does not name; "
            "its peft version reads module names differently.",
        )
    with new_folder(plan.out / ADAPTER) as folder:
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            shutil.copyfile(saved / name, folder / name)
    merge_adapter(adapter, plan.base, plan.out / MERGED)
    return plan.out / ADAPTER, plan.out / MERGED


def _calibrate(
    plan: Plan,
    data: Path,
    checkpoint: Path,
    report: Report,
    cache: ClipCache | None,
    trusted: bool,
) -> dict[str, str]:
    """Fit scoring.json where the recipe asks for it; return the calibration id of each task."""
    stage = plan.recipe.calibrate
    if stage is None:
        return {}
    engine = load_engine(checkpoint, plan.recipe.use_cpu, plan.recipe.dtype)
    try:
        return calibrate_checkpoint(
            checkpoint, _profile(plan), data, stage, plan.tasks, plan.recipe.max_seconds, engine,
            report, cache, trusted=trusted,
        )  # fmt: skip
    finally:
        engine.close()


def _profile(plan: Plan) -> ModelProfile:
    asked = {task.id: task.prompt_hash for task in plan.tasks}
    known = plan.base.profile.prompt_hashes
    chosen = plan.recipe.sampling
    policies = plan.base.profile.policies | {
        task.id: (chosen or plan.base.profile.fit(task).sampling).policy for task in plan.tasks
    }
    return plan.base.profile.model_copy(
        update={
            "sampling": replace(plan.sampling, policy=Uniform()),
            "policies": policies,
            "prompt_hashes": known | asked,
        }
    )


def _manifest(
    plan: Plan, rows: dict[str, Any], steps: list[Progress], seconds: float
) -> dict[str, Any]:
    return {
        "recipe": json.loads(plan.recipe.model_dump_json()),
        "base": {"folder": str(plan.base.folder), "sha256": plan.base.fingerprint()},
        "rows": rows,
        "rows_manifest_sha256": sha256_json(rows),
        "prompt_hashes": {task.id: task.prompt_hash for task in plan.tasks},
        "seed": plan.recipe.seed,
        "steps": steps[-1].done,
        "final_loss": steps[-1].loss,
        "seconds": round(seconds, 1),
        "command": {
            "arguments": ["swift", *plan.command.arguments],
            "variables": dict(plan.command.variables),
        },
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

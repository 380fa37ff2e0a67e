"""Fine-tuning from a recipe to a checkpoint that can be served.

Does: plan (checkpoint, tasks, sampling, command), prepare rows, run ms-swift as a child, check
that it read every row and trained what the recipe says, and write adapter, checkpoint, profile
and manifest.  Does not: draw progress, or train by itself.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.agreement import Agreement, AgreementCheck
from finetune.base import BaseCheckpoint, choose_sampling, load_processor, read_base
from finetune.calibrate import calibrate_checkpoint, load_engine, validation_examples
from finetune.card import write_card
from finetune.checking.rows import check_rows, limits_beside, refuse_bad_rows
from finetune.command import ROWS_NAME, TrainingCommand, training_command
from finetune.devices import VARIABLE, check_gpus, chosen_gpus
from finetune.evaluating.stage import EvaluationOrder, EvaluationStage, evaluated_examples
from finetune.events import draw_curve, recorded
from finetune.folders import gather_full, new_folder
from finetune.manifest import training_facts, versions
from finetune.megc.prepare import ExpressionPreparation, prepare_expressions
from finetune.merge import ADAPTER_CONFIG, ADAPTER_WEIGHTS, outside_language_model, read_adapter
from finetune.merging import merge_checked, unchecked_folder
from finetune.prepare import Preparation, prepare_rows
from finetune.progress import Progress
from finetune.recipe import Recipe
from finetune.resuming.alone import alone
from finetune.resuming.seals import step_of
from finetune.resuming.start import STEP_LOG
from finetune.training import Trained, train
from mllm_affect.data.megc.layout import is_megc
from mllm_affect.errors import EngineError, UserError
from mllm_affect.files import sha256_file, write_json
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.sampling.policy import Uniform
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile, write_profile
from mllm_affect.model.split_uses import MANIFEST_NAME
from mllm_affect.tasks.prompts import load_family, shipped_family_ids, tasks_named
from mllm_affect.tasks.task import Task

Report = Callable[[Progress], None]

EVALUATION_CLIPS = "evaluated"
ROWS, WORK, ADAPTER, MERGED, FULL = "rows", "training", "adapter", "merged", "model"
LOG_NAME, STEPS_NAME, EVENTS_NAME, PICTURE = "train.log", "steps.jsonl", "events.jsonl", "loss.png"


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


def make_plan(recipe: Recipe, out: Path, *, weights: bool = True) -> Plan:
    """Settle checkpoint, tasks, sampling and command.  Raises UserError; touches no file.

    Without `weights` a checkpoint's configuration is enough.
    """
    out = out.expanduser().resolve()
    base = read_base(recipe.model, weights=weights)
    tasks = tuple(task for name in recipe.tasks for task in tasks_named(name))
    sampling = choose_sampling(recipe, base, tasks)
    gpus = chosen_gpus(recipe, os.environ)
    command = training_command(recipe, base, sampling, out / ROWS, out / WORK, gpus)
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
    are gone and no unfinished checkpoint is left but those to go on from; rows and log stay.
    The same call after a kill goes on where the newest whole checkpoint was written, and gives the
    same weights to the bit (on one machine and version).
    """
    plan = make_plan(recipe, out)
    check_gpus(recipe)
    _check_packages(recipe)
    _check_room(plan)
    if recipe.data is None:
        raise UserError("no_data", "The recipe names no data; give --data FOLDER.")
    if is_megc(recipe.data):
        _refuse_other_segments(recipe)
    if recipe.calibrate is not None:
        validation_examples(recipe.data, recipe.calibrate, plan.tasks)
    if recipe.evaluation is not None:
        _check_evaluation(plan, recipe.data, recipe.evaluation)
    with alone(plan.out):
        return _run(plan, recipe.data, recorded(report, plan.out / EVENTS_NAME), cache, trusted)


def _run(plan: Plan, data: Path, report: Report, cache: ClipCache | None, trusted: bool) -> Outcome:
    started = time.monotonic()
    recipe = plan.recipe
    rows = _prepare(plan, data, report, cache, trusted)
    tokens = _refuse_bad_rows(plan, report)
    if recipe.evaluation is not None:
        order = _order_evaluation(plan, data, recipe.evaluation, cache, trusted)
        order.write(plan.out / ROWS)
    trained = _train(plan, rows, tokens, report)
    saved, steps = trained.checkpoint, trained.steps
    report(Progress("merge"))
    profile = with_units(_profile(plan), rows)
    adapter, checkpoint, agreement = _collect(plan, saved, profile)
    folders = [checkpoint, *filter(None, [adapter])]
    for folder in folders:
        write_profile(folder, profile)
    calibrations = _calibrate(plan, data, checkpoint, report, cache, trusted)
    manifest = training_facts(
        recipe, plan.base, plan.tasks, rows, steps, time.monotonic() - started, plan.command
    )
    manifest["merge"] = None if agreement is None else agreement.as_dict()
    manifest["evaluations"] = [
        {"step": item.done, "macro_f1": item.score} for item in trained.evaluations
    ]
    manifest["checkpoint_step"] = step_of(saved)
    manifest["calibrations"] = calibrations
    for folder in folders:
        write_json(folder / MANIFEST_NAME, manifest)
        write_card(folder)
    write_profile(plan.out, profile)
    write_json(plan.out / MANIFEST_NAME, manifest)
    shutil.rmtree(plan.out / WORK)
    return Outcome(checkpoint, adapter, steps[-1].done, steps[-1].loss, manifest)


def _check_packages(recipe: Recipe) -> None:
    if recipe.report_to == "wandb" and find_spec("wandb") is None:
        raise UserError(
            "missing_package",
            'wandb is missing; pip install "mllm-affect[wandb]", or set report_to.',
        )


def _check_room(plan: Plan) -> None:
    if (plan.out / MANIFEST_NAME).exists():
        raise UserError(
            "out_exists", f"{plan.out} holds a finished fine-tuning; name a new folder."
        )


def _check_evaluation(plan: Plan, data: Path, stage: EvaluationStage) -> None:
    """Refuse before any work what the recipe's evaluation could not do.  Raises UserError."""
    if is_megc(data):
        raise UserError(
            "bad_recipe",
            "Videos of the micro-expression challenge cannot be evaluated during training "
            "yet; set evaluation to null and use `evaluate megc` afterwards.",
        )
    evaluated_examples(data, stage.split, plan.tasks)


def _order_evaluation(
    plan: Plan, data: Path, stage: EvaluationStage, cache: ClipCache | None, trusted: bool
) -> EvaluationOrder:
    """Return what the trainer's process shall ask; decoded clips stay for the next evaluation."""
    kept = plan.out / WORK / EVALUATION_CLIPS
    return EvaluationOrder(
        stage=stage, base=plan.base.folder, data=data.expanduser().resolve(),
        tasks=plan.tasks, profile=_profile(plan),
        cache=kept if cache is None else cache.folder, trusted=trusted,
    )  # fmt: skip


def _refuse_bad_rows(plan: Plan, report: Report) -> float:
    """Decode and encode every row as the trainer will; return the mean tokens of one.

    Raises UserError `bad_rows`.
    """
    path = plan.out / ROWS / ROWS_NAME
    limits = limits_beside(path, plan.tasks, plan.recipe.max_length)
    checked = check_rows(
        [path],
        limits,
        load_processor(plan.base.folder),
        lambda done, total: report(Progress("check", done, total)),
    )
    refuse_bad_rows(checked)
    return checked.tokens()["total"]["mean"]


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
            plan.sampling, plan.base.has_evidence,
        )  # fmt: skip
        return prepare_expressions(data, expressions, folder, report, trusted=trusted)
    preparation = Preparation(
        plan.tasks, plan.sampling, recipe.split, recipe.max_seconds, recipe.segment_rule,
        recipe.balance, seed, plan.base.has_evidence,
    )  # fmt: skip
    return prepare_rows(data, preparation, folder, report, cache, trusted=trusted)


def _refuse_other_segments(recipe: Recipe) -> None:
    """Refuse a bound on segments that the micro-expression tasks would not keep."""
    if recipe.max_seconds != MAX_SECONDS:
        raise UserError(
            "bad_recipe",
            f"The micro-expression tasks show clips and windows of their own length, not segments "
            f"of {recipe.max_seconds:g} s; leave max_seconds out.",
        )


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


def _train(plan: Plan, rows: dict[str, Any], tokens: float, report: Report) -> Trained:
    """Run ms-swift, and keep what it told of its steps."""
    work = plan.out / WORK
    trained = train(
        plan.command, work, plan.out / LOG_NAME, int(rows["rows"]), _identity(plan, rows), report,
        tokens * plan.recipe.effective_batch,
    )  # fmt: skip
    shutil.copyfile(work / STEP_LOG, plan.out / STEPS_NAME)
    draw_curve(plan.out / PICTURE, trained.steps, trained.evaluations)
    return trained


def _identity(plan: Plan, rows: dict[str, Any]) -> dict[str, Any]:
    """Return everything that decides what training leaves, cheaply enough to ask at each start."""
    base = plan.base.folder
    return {
        "arguments": list(plan.command.arguments),
        # Which of the machine's GPUs it runs on decides nothing.
        "variables": {k: v for k, v in plan.command.variables.items() if k != VARIABLE},
        "evaluation": plan.recipe.evaluation and plan.recipe.evaluation.model_dump(),
        "rows": rows["rows_sha256"],
        "base_config": sha256_file(base / "config.json"),
        "base_weights": {path.name: path.stat().st_size for path in plan.base.weight_files},
        "versions": versions(),
    }


def _collect(
    plan: Plan, saved: Path, profile: ModelProfile
) -> tuple[Path | None, Path, Agreement | None]:
    """Take the last checkpoint out of the work folder.

    Returns the adapter, the checkpoint to serve, and how far the two agree.
    """
    for name in (ADAPTER, MERGED, unchecked_folder(Path(MERGED)).name, FULL):
        # Left by a run that was killed here: a finished one has a manifest and is never entered.
        shutil.rmtree(plan.out / name, ignore_errors=True)
    if plan.recipe.method == "full":
        gather_full(saved, plan.base.folder, plan.out / FULL)
        return None, plan.out / FULL, None
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
    write_profile(plan.out / ADAPTER, profile)  # for `finetune merge`, should this one fail
    agreement = merge_checked(
        plan.out / ADAPTER, plan.base, plan.out / MERGED, _check(plan.recipe), profile
    )
    return plan.out / ADAPTER, plan.out / MERGED, agreement


def _check(recipe: Recipe) -> AgreementCheck | None:
    if not recipe.check_merge:
        return None
    device = "cpu" if recipe.use_cpu else "cuda"
    return AgreementCheck(recipe.check_merge, device=device, dtype=recipe.dtype)


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
            checkpoint, _profile(plan), data, stage, plan.tasks, engine, report, cache,
            trusted=trusted,
            chosen_on=plan.recipe.evaluation.split if plan.recipe.evaluation else None,
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
            "max_seconds": plan.recipe.max_seconds,
            "policies": policies,
            "prompt_hashes": known | asked,
        }
    )


def with_units(profile: ModelProfile, rows: dict[str, Any]) -> ModelProfile:
    """Add the action units besides the challenge's 25 that the rows of long videos teach."""
    learned = rows.get("data", {}).get("other_units", ())
    units = tuple(dict.fromkeys((*profile.other_units, *learned)))
    return profile.model_copy(update={"other_units": units})

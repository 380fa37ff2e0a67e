"""The `calibrate` verb: from a validation split's predictions to scoring.json.

Does: read predictions, check that they are this checkpoint's, print what was compared.
Does not: fit (mllm_affect.scoring.fitting) or ask a model.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from eval.predictions import Prediction
    from mllm_affect.scoring.fitting import ScoredVideo
    from mllm_affect.scoring.scoring_file import TaskScoring
    from mllm_affect.tasks.task import Task


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("calibrate", no_args_is_help=True)(calibrate)


@verb
def calibrate(
    predictions: Annotated[
        Path, typer.Option("--predictions", help="What `evaluate` wrote for the validation split.")
    ],
    model: Annotated[
        Path, typer.Option("--model", help="The checkpoint that answered; scoring.json goes there.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", help="Prompt file, where the task is not a shipped one.")
    ] = None,
    pooling: Annotated[
        list[str] | None, typer.Option("--pooling", help="A pooling to compare; repeatable.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, max=50, help="Groups of participants.")] = 5,
    threshold: Annotated[
        str, typer.Option("--threshold", help="Policy: fixed, plateau or prevalence.")
    ] = "fixed",
    bias: Annotated[bool, typer.Option(help="Fit a bias beside the temperature.")] = True,
    abstain: Annotated[
        bool, typer.Option(help="Give no answer about videos that are plainly unfit.")
    ] = True,
    faces: Annotated[
        int, typer.Option(min=0, max=16, help="Frames a segment searched for a face; 0: none.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds and the intervals.")] = 0,
    json: Json = False,
) -> None:
    """Choose the pooling out-of-fold, fit the temperature, and write scoring.json.

    Example: mllm-affect calibrate --predictions runs/val/predictions.jsonl --model runs/ft/merged

    Service and evaluation use the file alike. Give videos that the model was not trained on.
    """
    from eval.predictions import read_predictions, refuse_unlabelled, settings_beside
    from mllm_affect.media.cutting import SEGMENTER
    from mllm_affect.model.profile import read_profile
    from mllm_affect.scoring.abstention import NEVER, Abstention
    from mllm_affect.scoring.fitting import FittingPlan, Origin, fit_scoring
    from mllm_affect.scoring.pooling import CANDIDATES
    from mllm_affect.scoring.scoring_file import write_scoring
    from mllm_affect.scoring.thresholds import check_policy
    from mllm_affect.tasks.prompts import load_task

    profile = read_profile(model)
    rows = read_predictions(predictions)
    asked = profile.fit(load_task(task or _only_task(rows, predictions)))
    settings = settings_beside(predictions)
    bound = profile.segment_seconds()
    _refuse_others(settings, asked, bound, model, predictions)
    plan = FittingPlan(
        poolings=tuple(pooling or CANDIDATES),
        folds=folds,
        seed=seed,
        with_bias=bias,
        threshold=check_policy(threshold),
        abstention=Abstention(looks_for_faces=faces) if abstain else NEVER,
    )
    refuse_unlabelled(rows, "nothing can be calibrated on them")
    videos = [scored_video(row) for row in rows if _is_scored(row)]
    origin = Origin(
        split=settings.get("split"),
        unusable=len(rows) - len(videos),
        examples_sha256=settings.get("examples"),
        predictions_sha256=_hash(predictions),
        weights=settings.get("weights"),
        chose_checkpoint=_chose(model, settings),
    )
    scoring = fit_scoring(asked, SEGMENTER, bound, videos, plan, origin)
    path = write_scoring(model, scoring)
    if json:
        print_json({"out": str(path), "calibration": scoring.id, **scoring.model_dump(mode="json")})
    else:
        _print(scoring, path)


def scored_video(row: "Prediction") -> "ScoredVideo":
    """Return what calibration needs of one prediction: its segments as the model scored them."""
    from mllm_affect.scoring.fitting import ScoredVideo

    return ScoredVideo(
        participant=row.participant,
        label=row.label or "",
        distributions=[segment.probabilities for segment in row.segments],
        durations_s=[segment.end_s - segment.start_s for segment in row.segments],
    )


def _is_scored(row: "Prediction") -> bool:
    return bool(row.segments) and all(segment.probabilities for segment in row.segments)


def _only_task(rows: "list[Prediction]", path: Path) -> str:
    tasks = sorted({row.task for row in rows})
    if len(tasks) != 1:
        found = ", ".join(tasks) or "none"
        raise UserError("mixed_tasks", f"{path} must hold answers to one task; it has {found}.")
    return tasks[0]


def _refuse_others(
    settings: dict[str, Any], task: "Task", bound: float, model: Path, predictions: Path
) -> None:
    """Refuse predictions in other words or segments, without a modality, or of another checkpoint.

    `bound`: longest segment that the checkpoint learned, in seconds.
    """
    from mllm_affect.media.cutting import MAX_SECONDS
    from mllm_affect.model.weights_hash import weights_hash

    wrong = []
    if settings.get("prompt", task.prompt_hash) != task.prompt_hash:
        wrong.append(f"another prompt than that of task {task.id}")
    if settings.get("max_seconds", MAX_SECONDS) != bound:
        wrong.append(f"segments of other length than the checkpoint's {bound:g} s")
    if settings.get("ablation"):
        wrong.append(f"the {settings['ablation']} taken away")
    if "weights" in settings and settings["weights"] != weights_hash(model):
        wrong.append(f"other weights than those in {model}")
    if wrong:
        raise UserError(
            "other_predictions",
            f"{predictions} was made with {' and '.join(wrong)}; evaluate again.",
        )


def _chose(model: Path, settings: dict[str, Any]) -> bool | None:
    """Return whether the predictions' split chose this checkpoint; None where it is not known."""
    from mllm_affect.model.split_uses import SELECTION, purposes, split_uses

    examples, uses = settings.get("examples"), split_uses(model)
    if examples is None or not uses:
        return None
    return SELECTION in purposes(uses, examples, settings.get("split"))


def _hash(path: Path) -> str:
    from mllm_affect.files import sha256_file

    return sha256_file(path)


def _print(scoring: "TaskScoring", path: Path) -> None:
    """Print the comparison and the figures before and after."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("pooling", "log-likelihood loss", "95 %", "macro-F1", "95 %", box=SIMPLE_HEAD)
    for item in scoring.choice.candidates:
        low, high = item.negative_log_likelihood_interval
        worst, best = item.macro_f1_interval
        chosen = " ←" if item.pooling == scoring.pooling else ""
        table.add_row(
            f"{item.pooling}{chosen}",
            f"{item.negative_log_likelihood:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{item.macro_f1:.3f}",
            f"{worst:.3f} to {best:.3f}",
        )
    out.print(table)
    made = scoring.made_from
    out.print(
        f"{made.videos} videos of {made.participants} participants, {made.positives} positive; "
        f"temperature {scoring.temperature:.3f}, bias {scoring.bias:+.3f}, "
        f"threshold {scoring.threshold:.3f} ({scoring.threshold_policy})"
    )
    low, high = scoring.out_of_fold.macro_f1_interval or (0.0, 1.0)
    out.print(
        f"calibration error {scoring.before.calibration_error:.3f} before, "
        f"{scoring.out_of_fold.calibration_error:.3f} after; macro-F1 "
        f"{scoring.before.macro_f1:.3f} before, {scoring.out_of_fold.macro_f1:.3f} after (95 % "
        f"{low:.3f} to {high:.3f}). After: pooling, calibration and threshold all chosen on other "
        "participants."
    )
    if made.chose_checkpoint:
        out.print(
            "[yellow]These videos also chose the checkpoint during training, so all figures above "
            "are higher than on new people.[/]"
        )
    out.print(f"{path}: calibration {scoring.id[:12]}", highlight=False)

"""The `ensemble` verb: several predictions files made into one.

Does: take options, print what the weights are worth.  Does not: combine (eval.ensembling).
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb

if TYPE_CHECKING:
    from eval.ensemble_weights import FittedWeights


class Method(StrEnum):
    """How answers are combined."""

    mean = "mean"
    logit = "logit"
    vote = "vote"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("ensemble", no_args_is_help=True)(ensemble)


@verb
def ensemble(
    predictions: Annotated[
        list[Path],
        typer.Option("--predictions", help="A predictions.jsonl of each model; repeat it."),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for predictions.jsonl and ensemble.json.")
    ],
    method: Annotated[
        Method, typer.Option("--method", help="Mean of probabilities or of logits, or a vote.")
    ] = Method.mean,
    weight: Annotated[
        list[float] | None,
        typer.Option("--weight", help="A weight for each file, in their order; equal if none."),
    ] = None,
    fit: Annotated[
        list[Path] | None,
        typer.Option(
            "--fit",
            help="Fit weights on these files about a labelled split, one for each model; "
            "the same files give out-of-fold predictions.",
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Groups of participants for --fit.")
    ] = 5,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0.0, max=1.0, help="Default: what the files share."),
    ] = None,
    json: Json = False,
) -> None:
    """Combine several models' predictions about the same videos into one predictions.jsonl.

    Example: mllm-affect ensemble --predictions runs/a/predictions.jsonl
    --predictions runs/b/predictions.jsonl --out runs/both
    """
    from eval import ensemble_run

    plan = ensemble_run.EnsemblePlan(
        predictions=tuple(predictions), method=method.value,
        weights=tuple(weight) if weight else None, fit_on=tuple(fit or ()),
        threshold=threshold, folds=folds,
    )  # fmt: skip
    made = ensemble_run.make(plan)
    ensemble_run.write(plan, made, out_dir)
    if json:
        print_json({"out": str(out_dir), **ensemble_run.settings(plan, made)})
        return
    if made.fitted is not None:
        _print_scores(made.fitted)
    out.print(f"{out_dir / 'predictions.jsonl'}: {len(made.predictions)} videos, {method.value}.")


def _print_scores(fitted: "FittedWeights") -> None:
    """Print what each way to weigh scores out-of-fold."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("out-of-fold", "macro-F1", "95 % interval", "log-loss", box=SIMPLE_HEAD)
    for scores in fitted.scores:
        interval = scores.macro_f1_interval
        table.add_row(
            scores.name,
            f"{scores.macro_f1:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            f"{scores.negative_log_likelihood:.4f}",
        )
    out.print(table)
    out.print("Weights: " + ", ".join(f"{value:.3f}" for value in fitted.weights))

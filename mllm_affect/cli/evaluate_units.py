"""`mllm-affect evaluate au`: how well a checkpoint with evidence finds action units.

Does: read options, show progress, print the table.  Does not: measure (eval.units).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import (
    Cache,
    Device,
    Dtype,
    Json,
    Model,
    Precision,
    Trusted,
    out,
    print_json,
    verb,
)
from mllm_affect.cli.progress import progress
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from eval.units.summary import UnitSummary


@verb
def units(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for predictions, figures, picture and report.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled videos whose examples have a label action_units."),
    ] = None,
    model: Model = None,
    task: Annotated[
        str, typer.Option("--task", help="The prompt that the checkpoint learned, or its file.")
    ] = "au",
    split: Annotated[str, typer.Option("--split", help="The split that is tested.")] = "test",
    thresholds_split: Annotated[
        str,
        typer.Option("--thresholds-split", help="Other people, on whom thresholds are chosen."),
    ] = "val",
    flow: Annotated[
        bool, typer.Option("--flow/--no-flow", help="Train the optical-flow baseline beside.")
    ] = True,
    train_split: Annotated[
        str, typer.Option("--train-split", help="The split that the baseline is trained on.")
    ] = "train",
    leanings: Annotated[
        bool,
        typer.Option(
            "--leanings/--no-leanings", help="Also read every clip without CT, and without IT."
        ),
    ] = True,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            help="Pool unit-predictions.jsonl of several folds instead; repeatable.",
        ),
    ] = None,
    fold: Annotated[str, typer.Option("--fold", help="Name of this fold.")] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only so many videos a split.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the baseline.")] = 0,
    device: Device = "auto",
    dtype: Dtype = Precision.auto,
    cache: Cache = None,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Find action units by the measured head, thresholds from other people, baseline beside.

    Example: mllm-affect evaluate au --data runs/units --model runs/trained/merged --out runs/au
    """
    from eval.units import run
    from eval.units.measuring import UnitPlan
    from mllm_affect.engine.placement import Placement, check_memory

    if predictions:
        if data or model:
            raise UserError(
                "bad_options", "--predictions reads nothing else: leave out --data and --model."
            )
        summary = run.pool_units(predictions, out_dir)
    else:
        if data is None or model is None:
            raise UserError("bad_options", "Give --data and --model, or --predictions.")
        placed = Placement(device, dtype.value).settled()
        check_memory(model, placed)
        plan = UnitPlan(
            data=data, model=model, task=task, split=split, thresholds_split=thresholds_split,
            flow_split=train_split if flow else None, leanings=leanings, fold=fold, limit=limit,
            cache=cache, trusted=trusted, seed=seed, device=placed.device, dtype=placed.dtype,
        )  # fmt: skip
        with progress("reading clips", show=not json) as advance:
            summary = run.evaluate_units(plan, out_dir, advance)
    if json:
        print_json({"out": str(out_dir), **summary.as_dict()})
        return
    _print_table(summary, out_dir / run.REPORT)


def _print_table(summary: "UnitSummary", path: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("unit", "labelled", "binary F1", "95 % interval", "flow", box=SIMPLE_HEAD)
    scores, flow = summary.scores, summary.flow
    for place, row in enumerate(scores.units):
        between = row.f1_interval
        table.add_row(
            f"AU{row.unit}", str(row.labelled), f"{row.f1:.3f}",
            f"{between.low:.3f} to {between.high:.3f}",
            f"{flow.units[place].f1:.3f}" if flow else "",
        )  # fmt: skip
    between = scores.f1_interval
    table.add_row(
        "mean", "", f"{scores.f1:.3f}", f"{between.low:.3f} to {between.high:.3f}",
        f"{flow.f1:.3f}" if flow else "", style="bold",
    )  # fmt: skip
    out.print(table)
    for leaning in summary.leanings:
        out.print(
            f"without the {leaning.token}: {leaning.scores.f1:.3f}, "
            f"{leaning.drop.gain:.3f} lower ({leaning.drop.interval.low:.3f} to "
            f"{leaning.drop.interval.high:.3f})",
            highlight=False,
        )
    if summary.unusable:
        out.print(f"{summary.unusable} videos cannot be read and count as wrong.", highlight=False)
    out.print(
        f"{scores.videos} clips of {scores.people} people; saying “shown” always scores "
        f"{scores.always_f1:.3f}; F1 of shown and not shown together {scores.both_f1:.3f}. "
        f"Report: {path}",
        highlight=False,
    )

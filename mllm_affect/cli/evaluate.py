"""The `evaluate` verb: how good the answers are on labelled videos.

Does: choose examples and the answerer, show progress, print the figures.  Does not: measure
(eval.summary) or ask (mllm_affect.pipeline, or the service over HTTP).
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.ask import read_key
from mllm_affect.cli.common import (
    Cache,
    Device,
    Dtype,
    EngineUrl,
    Force,
    Json,
    Labelled,
    Model,
    Precision,
    Trusted,
    Unlabelled,
    out,
    print_json,
    stated_labels,
    verb,
)
from mllm_affect.cli.default_group import DefaultGroup
from mllm_affect.cli.evaluate_megc import megc
from mllm_affect.cli.evaluate_units import units
from mllm_affect.cli.progress import progress
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from eval.measure import Measurement


class Without(StrEnum):
    """The modality to take away."""

    audio = "audio"
    video = "video"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(
        cls=DefaultGroup, help="Score answers; `evaluate TASK …` is `evaluate labelled TASK …`."
    )
    group.command(DefaultGroup.default, no_args_is_help=True)(evaluate)
    group.command("megc", no_args_is_help=True)(megc)
    group.command("au", no_args_is_help=True)(units)
    app.add_typer(group, name="evaluate")


@verb
def evaluate(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for metrics.json, predictions.jsonl, report.html.")
    ],
    task: Annotated[
        str | None, typer.Argument(help="A shipped task's id, or a prompt file (.yaml).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Labelled videos (examples.jsonl or BAH).")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Only examples of this split.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Name of the label; the task's id if not given.")
    ] = None,
    model: Model = None,
    engine_url: EngineUrl = None,
    device: Device = "auto",
    dtype: Dtype = Precision.auto,
    url: Annotated[str | None, typer.Option("--url", help="Ask a running service instead.")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="File with the service's API key.")
    ] = None,
    ablate: Annotated[
        Without | None, typer.Option("--ablate", help="Take the sound or the pictures away.")
    ] = None,
    force: Force = False,
    cache: Cache = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only so many videos.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            help="Measure an existing predictions.jsonl; ask nothing. With --data, a video "
            "without a prediction counts as wrong.",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="Another predictions.jsonl about the same videos, to compare with."
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="The split that priors are fitted on.")
    ] = "train",
    frames: Annotated[
        bool, typer.Option(help="Score frames where spans are annotated; decodes those videos.")
    ] = True,
    thumbnails: Annotated[
        bool | None,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show frames of some videos in the report (default: not of a licensed dataset).",
        ),
    ] = None,
    labelled: Labelled = None,
    unlabelled: Unlabelled = None,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Ask about every labelled video and report macro-F1 and more, each with its 95 % interval.

    Example: mllm-affect evaluate ah --data videos --model runs/tuned/merged --out runs/eval

    A stopped run goes on where it ended when the same command is given again.
    """
    from eval import measure
    from mllm_affect.engine.placement import Placement

    stated = stated_labels(labelled, unlabelled)
    if predictions is not None:
        if url or model or engine_url or ablate or limit:
            raise UserError(
                "bad_options",
                "--predictions asks nothing: leave out --model, --engine-url, --url, --ablate and "
                "--limit.",
            )
        if split and not data:
            raise UserError("bad_options", "--split needs --data, which says who is in it.")
        measurement = measure.from_file(predictions, data, split, label, stated)
        if task and task != measurement.summary.task:
            raise UserError(
                "bad_options",
                f"{predictions} answers {measurement.summary.task}, not {task}.",
            )
    else:
        if task is None or data is None:
            raise UserError("bad_options", "Give a TASK and --data, or --predictions.")
        if url and (model or engine_url or ablate or cache):
            raise UserError(
                "bad_options",
                "--url asks a service; leave out --model, --engine-url, --ablate and --cache.",
            )
        plan = measure.Plan(
            task=task, data=data, split=split, label=label, model=model, url=url,
            ablate=ablate.value if ablate else None, limit=limit,
            force=force, cache=cache, trusted=trusted, stated=stated,
            api_key=read_key(api_key_file) if api_key_file else None,
            engine_url=engine_url, placement=Placement(device, dtype.value),
        )  # fmt: skip
        with progress(f"asking {task}", show=not json) as advance:
            measurement = measure.run(plan, out_dir, advance)
    with progress("reading timestamps", show=frames and not json) as advance:
        measurement = measure.closer(measurement, train_split, against, frames, advance)
    measure.write(measurement, out_dir, thumbnails)
    if json:
        details = measurement.details.as_dict()
        print_json({"out": str(out_dir), **measurement.summary.as_dict(), "details": details})
    else:
        _print_table(measurement, out_dir)


def _print_table(measurement: "Measurement", out_dir: Path) -> None:
    """Print the headline figures as a table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from eval.headlines import headline_rows

    table = Table("figure", "value", "95 % interval", box=SIMPLE_HEAD)
    for row in headline_rows(measurement.summary, measurement.details):
        table.add_row(*row)
    out.print(table)
    if measurement.note:
        out.print(measurement.note)
    out.print(f"Report: {out_dir / 'report.html'}")

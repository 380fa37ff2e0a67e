"""The `export` verb: predictions as others want them.

Does: read predictions, write a leaderboard file or a table.  Does not: compute anything.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb

Predictions = Annotated[
    Path, typer.Option("--predictions", help="A predictions.jsonl that `evaluate` wrote.")
]


class Form(StrEnum):
    """What a submission line holds."""

    label = "label"
    probability = "probability"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    export = typer.Typer(
        no_args_is_help=True, help="Write predictions as a leaderboard file or a table."
    )
    export.command("abaw-ah")(abaw_ah)
    export.command("csv")(csv)
    app.add_typer(export, name="export")


@verb
def abaw_ah(
    predictions: Predictions,
    order: Annotated[
        Path, typer.Option("--order", help="The organisers' list; its row order is kept.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="For instance trial-0.txt.")],
    form: Annotated[
        Form, typer.Option("--form", help="`path,pred` or `path,p0,p1,pred`.")
    ] = Form.probability,
    json: Json = False,
) -> None:
    """Write a submission to the ambivalence/hesitancy challenge, every id checked.

    Example: mllm-affect export abaw-ah --predictions runs/bah/predictions.jsonl
    --order test.txt --out trial-0.txt
    """
    from eval.exports.abaw_ah import write_submission
    from eval.predictions import read_predictions

    lines = write_submission(read_predictions(predictions), order, out_file, form.value)
    if json:
        print_json({"out": str(out_file), "lines": lines, "form": form.value})
    else:
        out.print(f"{out_file}: {lines} lines in the organisers' order, every id checked.")


@verb
def csv(
    predictions: Annotated[
        list[Path],
        typer.Option("--predictions", help="A predictions.jsonl; repeat it for more tasks."),
    ],
    out_file: Annotated[Path, typer.Option("--out", help="The CSV file to write.")],
    json: Json = False,
) -> None:
    """Write a tidy table, one row a segment and task.

    Example: mllm-affect export csv --predictions runs/eval/predictions.jsonl --out segments.csv
    """
    from eval.exports.table import write_table
    from eval.predictions import read_predictions

    rows = write_table([row for path in predictions for row in read_predictions(path)], out_file)
    if json:
        print_json({"out": str(out_file), "rows": rows})
    else:
        out.print(f"{out_file}: {rows} rows, one a segment and task.")

"""The `export` verb: predictions as others want them.

Does: read predictions, write a leaderboard file or a table.  Does not: compute anything.
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli import export_abaw
from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.cli.export_megc import megc
from mllm_affect.cli.export_video import video


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    export = typer.Typer(
        no_args_is_help=True, help="Write predictions as a leaderboard file or a table."
    )
    export_abaw.add_to(export)
    export.command("csv")(csv)
    export.command("megc")(megc)
    export.command("video")(video)
    app.add_typer(export, name="export")


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

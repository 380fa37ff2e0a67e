"""`mllm-affect validate rows`: whether training rows are fit to train on.

Does: read options, draw progress, print a table of verdicts.  Does not: check.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.cli.progress import progress

if TYPE_CHECKING:
    from finetune.checking.findings import RowsReport

EXAMPLE = "Example: mllm-affect validate rows runs/ft/rows/rows.jsonl --model miniature"
SHOWN = 20
"""How many bad rows are printed; --json tells of all, good ones included."""


@verb
def validate_rows(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="rows.jsonl; several are splits of one corpus."),
    ],
    model: Annotated[
        str, typer.Option(help="Checkpoint whose processor counts tokens, or `miniature`.")
    ] = "miniature",
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", help="Task or prompt file the rows ask; else their manifest's."),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Longest row in tokens, answer included.")
    ] = None,
    json: Json = False,
) -> None:
    """Decode and encode every row as training would; a verdict a row.

    Exit status 1 when any row is bad.  Nothing is changed.
    """
    from finetune.base import load_processor, read_base
    from finetune.checking.rows import check_rows, limits_beside
    from mllm_affect.tasks.prompts import load_task

    limits = limits_beside(files[0], [load_task(name) for name in tasks or ()], max_length)
    with progress("checking rows", show=not json) as advance:
        processor = load_processor(read_base(model).folder)
        report = check_rows(files, limits, processor, advance)
    if json:
        print_json(report.as_dict())
    else:
        _print(report)
    if not report.fit:
        raise typer.Exit(1)


def _print(report: "RowsReport") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    for finding in report.files:
        style = "red" if finding.fault else "dim"
        line = escape(f"{finding.where}: {finding.sentence}")
        out.print(f"[{style}]{finding.code}[/] {line}", highlight=False)
    if report.wrong:
        table = Table("row", "fault", "what", box=SIMPLE_HEAD)
        for row in report.wrong[:SHOWN]:
            for finding in row.findings:
                table.add_row(f"{row.file}:{row.line}", finding.code, escape(finding.sentence))
        out.print(table)
    if len(report.wrong) > SHOWN:
        out.print(f"[dim]… and {len(report.wrong) - SHOWN} more bad rows[/]", highlight=False)
    for task, counts in sorted(report.answers.items()):
        said = ", ".join(f"{answer} {count}" for answer, count in sorted(counts.items()))
        out.print(f"{task or 'answers'}: {escape(said)}", highlight=False)
    tokens = report.tokens()
    said = ", ".join(f"{kind} {found['mean']:g}" for kind, found in tokens.items())
    if tokens:
        most = tokens["total"]["most"]
        out.print(f"tokens a row: {said} on average; longest {most:g}", highlight=False)
    count = f"{len(report.rows)} rows"
    wrong = f"[bold red]{len(report.wrong)} of {count} cannot be trained on[/]"
    out.print(f"[green]fit to train on[/]: {count}" if report.fit else wrong, highlight=False)

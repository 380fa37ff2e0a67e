"""The `validate` verb: whether a dataset is fit to train and evaluate on.

Does: read options, draw progress, print a table of verdicts.  Does not: check.
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import (
    Json,
    Labelled,
    Unlabelled,
    out,
    print_json,
    stated_labels,
    verb,
)
from mllm_affect.cli.progress import progress
from mllm_affect.cli.validate_megc import validate_megc
from mllm_affect.cli.validate_rows import EXAMPLE, validate_rows

if TYPE_CHECKING:
    from mllm_affect.data.bah.findings import Verdict

group = typer.Typer(no_args_is_help=True, help="Check a dataset before training on it.")

SHOWN = 3
"""How many findings of each check are printed in full."""


class Version(StrEnum):
    """Which release it claims to be."""

    v1 = "v1"
    v2 = "v2"
    other = "other"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group.command("megc")(validate_megc)
    group.command("rows", epilog=EXAMPLE)(validate_rows)
    app.add_typer(group, name="validate")


@group.command("bah", epilog="Example: mllm-affect validate bah /data/BAH --release v2 --decode")
@verb
def validate_bah(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder of a release: split/, Videos/, …")],
    release: Annotated[
        Version, typer.Option("--release", help="Hold counts against those published for it.")
    ] = Version.other,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every video to its end, not only open it.")
    ] = False,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Open videos in this process: faster.")
    ] = False,
    labelled: Labelled = None,
    unlabelled: Unlabelled = None,
    json: Json = False,
) -> None:
    """Check a release of BAH: files, splits, labels, times, consent, counts.

    Exit status 1 when something is wrong.
    """
    from mllm_affect.data.bah.checks import check_release
    from mllm_affect.data.bah.findings import all_well

    stated = stated_labels(labelled, unlabelled)
    with progress("looking at videos", show=not json) as advance:
        verdicts = check_release(folder, release.value, decode, trusted, advance, stated)
    well = all_well(verdicts)
    if json:
        print_json({"fit": well, "checks": [verdict.as_dict() for verdict in verdicts]})
    else:
        _print(verdicts)
        said = "[green]fit to use[/]" if well else "[bold red]something is wrong[/]"
        out.print(f"{said}: {folder}", highlight=False)
    if not well:
        raise typer.Exit(1)


def _print(verdicts: "list[Verdict]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table("check", "looked at", "faults", "notices", "verdict", box=SIMPLE_HEAD)
    for verdict in verdicts:
        said = "[red]wrong[/]" if verdict.faults else "[green]well[/]"
        counts = (str(verdict.looked_at), str(len(verdict.faults)), str(len(verdict.notices)))
        table.add_row(verdict.check, *counts, said)
    out.print(table)
    for verdict in verdicts:
        for findings, style in ((verdict.faults, "red"), (verdict.notices, "dim")):
            for finding in findings[:SHOWN]:
                line = escape(f"{finding.where}: {finding.sentence}")
                out.print(f"[{style}]{finding.code}[/] {line}", highlight=False)
            if len(findings) > SHOWN:
                out.print(f"[dim]… and {len(findings) - SHOWN} more[/]", highlight=False)

"""`mllm-affect validate megc`: whether the micro-expression challenge's files fit together.

Does: read options, print findings and counts.  Does not: check.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from mllm_affect.data.megc.findings import Validation

SHOWN = 5
"""How many findings of each code are printed in full."""


@verb
def validate_megc(
    *,
    questions: Annotated[
        list[Path] | None, typer.Option("--questions", help="A question file; repeatable.")
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option("--train", help="A training file; repeatable.")
    ] = None,
    clips: Annotated[
        Path | None, typer.Option("--clips", help="Folder in which all clips are, however deep.")
    ] = None,
    sheet: Annotated[
        list[str] | None,
        typer.Option(
            "--sheet", help="A coding sheet as DATASET=FILE, for instance samm=codes.xlsx."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check question and training files, clip folders and coding sheets against each other.

    Example: mllm-affect validate megc --train me_vqa_samm_casme2_smic_v2.jsonl --clips /data/megc
    --sheet samm=SAMM_codes.xlsx

    Exit status 1 when something would go wrong because of it.
    """
    from mllm_affect.data.megc.validating import validate

    if not (questions or train or sheet):
        raise UserError("bad_options", "Give --questions, --train or --sheet: nothing to check.")
    found = validate(questions or (), train or (), clips, _sheets(sheet or []))
    if json:
        print_json(found.as_dict())
    else:
        _print(found)
    if not found.sound:
        raise typer.Exit(1)


def _sheets(given: list[str]) -> dict[str, Path]:
    sheets = {}
    for item in given:
        dataset, equals, path = item.partition("=")
        if not equals or not path:
            raise UserError("bad_options", f"--sheet is {item!r}; write it as DATASET=FILE.")
        sheets[dataset] = Path(path)
    return sheets


def _print(found: "Validation") -> None:
    from rich.markup import escape

    by_code: dict[tuple[bool, str], list[str]] = {}
    for item in found.findings:
        line = f"{item.file}, {item.where}: {item.sentence}"
        by_code.setdefault((not item.serious, item.code), []).append(line)
    for (minor, code), lines in sorted(by_code.items()):
        style = "yellow" if minor else "bold red"
        out.print(f"[{style}]{code}[/] {len(lines)}", highlight=False)
        for line in lines[:SHOWN]:
            out.print(f"  {escape(line)}", highlight=False)
        if len(lines) > SHOWN:
            out.print(f"  … and {len(lines) - SHOWN} more", style="dim", highlight=False)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(found.counts.items()))
    out.print(counts, style="dim", highlight=False)
    out.print("[green]sound[/]" if found.sound else "[bold red]something is wrong[/]")

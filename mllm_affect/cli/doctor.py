"""The `doctor` verb: what is installed, what can run, and what to do about the rest.

Does: show the findings of mllm_affect.checkup.  Does not: load torch or mend anything.
"""

from dataclasses import asdict

import typer

from mllm_affect.cli.common import Json, out, print_json, verb


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("doctor")(doctor)


@verb
def doctor(json: Json = False) -> None:
    """Say what is installed, which engines can run, and how to get what is missing.

    Example: mllm-affect doctor

    Exit status 0 when cutting and asking work, 1 otherwise.
    """
    from mllm_affect.checkup import examine

    findings = examine()
    sound = all(finding.works for finding in findings if finding.needed)
    if json:
        print_json({"ok": sound, "findings": [asdict(finding) for finding in findings]})
        raise typer.Exit(0 if sound else 1)
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("", "part", "found", "what to do", box=SIMPLE_HEAD)
    for finding in findings:
        mark = "[green]✓[/]" if finding.works else "[red]✗[/]" if finding.needed else "[yellow]·[/]"
        table.add_row(mark, finding.part, finding.found, "" if finding.works else finding.remedy)
    out.print(table)
    out.print("The core works." if sound else "[red]The core does not work:[/] see the ✗ lines.")
    raise typer.Exit(0 if sound else 1)

"""The `mllm-affect` command: gathers the verbs.

Does: register one module a verb.  Does not: import torch or anything heavy; verbs do so inside.
"""

from importlib import import_module
from typing import Annotated

import typer

from mllm_affect import __version__

VERBS = (
    "doctor",
    "segment",
    "ask",
    "prepare",
    "finetune",
    "serve",
    "worker",
    "key",
    "webhook-secret",
    "evaluate",
    "predict",
    "ensemble",
    "calibrate",
    "export",
    "make",
    "validate",
    "miniature",
    "evidence",
    "demo",
)

app = typer.Typer(
    name="mllm-affect",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="From a raw video of a person to answers with probabilities and times.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mllm-affect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """From a raw video of a person to answers with probabilities and times."""


for _verb in VERBS:
    import_module(f"mllm_affect.cli.{_verb.replace('-', '_')}").register(app)


def main() -> None:
    """Entry point of the console script."""
    app()

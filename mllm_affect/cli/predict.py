"""The `predict` verb: answers of a checkpoint, kept in files.

Does: gather what can be predicted, one sub-verb each.  Does not: ask (see eval and pipeline).
"""

import typer

from mllm_affect.cli.predict_megc import megc


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Ask a checkpoint and keep its answers.")
    group.command("megc", no_args_is_help=True)(megc)
    app.add_typer(group, name="predict")

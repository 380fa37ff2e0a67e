"""`mllm-affect webhook-secret`: a new secret that signs webhooks.

Does: add a random secret to a file and print it once.
Does not: read or check secrets (see serve.webhooks.secret_file).
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, err, print_json, verb


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("webhook-secret", no_args_is_help=True)(webhook_secret)


@verb
def webhook_secret(
    file: Annotated[
        Path,
        typer.Option("--file", help="For `serve --webhook-secret-file`; made if missing."),
    ],
    json: Json = False,
) -> None:
    """Make a random secret that signs webhooks, put it first in a file, and print it.

    The receivers need the same secret. A file may hold two, to change from one to the other:
    webhooks are signed with both until the older line is removed.

    Example: mllm-affect webhook-secret --file webhook-secrets.txt
    """
    from serve.webhooks.secret_file import add_webhook_secret

    made = add_webhook_secret(file)
    if json:
        print_json({"secret": made, "file": str(file)})
        return
    typer.echo(made)
    err.print(
        f"Give this secret to the receivers; {file} holds it for the service. Restart to use it.",
        highlight=False, markup=False,
    )  # fmt: skip

"""`mllm-affect key`: a new API key for the service.

Does: add the hash of a random key to a key file and print the key once.
Does not: read or check keys (see serve.keys).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, err, print_json, verb


class KeyScope(StrEnum):
    """What a key may do."""

    ask = "ask"
    read = "read"
    erase = "erase"
    metrics = "metrics"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("key", no_args_is_help=True)(key)


@verb
def key(
    name: Annotated[str, typer.Argument(help="Name of the key; videos and analyses belong to it.")],
    file: Annotated[
        Path, typer.Option("--file", help="Key file for `serve --api-key-file`; made if missing.")
    ],
    scope: Annotated[
        list[KeyScope] | None,
        typer.Option(help="What the key may do; repeat for several. Default: everything."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Bound on requests; no bound if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a random API key, add its SHA-256 to a key file, and print the key.

    Only the hash is kept: store the printed key where its user finds it.

    Example: mllm-affect key clinic --file keys.yaml --scope ask --scope read
    """
    from serve.keys import add_api_key

    scopes = {one.value for one in scope or KeyScope}
    made = add_api_key(file, name, scopes, requests_per_minute)
    if json:
        print_json({"name": name, "key": made, "file": str(file)})
        return
    typer.echo(made)
    err.print(
        f"The key of {name} is printed once; {file} holds its hash. Restart the service to use it.",
        highlight=False, markup=False,
    )  # fmt: skip

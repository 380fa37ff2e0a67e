"""The options of completion webhooks, which `serve` and `worker` share.

Does: describe them and turn them into settings.  Does not: send (see serve.webhooks).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serve.webhooks.settings import WebhookSettings

WebhookHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook-host",
        help="Host that may be told when an analysis ends, HOST or HOST:PORT; repeatable.",
    ),
]
WebhookSecretFile = Annotated[
    Path | None,
    typer.Option(help="File with the secret that signs webhooks; see `webhook-secret`."),
]
WebhookInsecure = Annotated[
    bool,
    typer.Option(
        "--webhook-insecure",
        help="Allow http and private addresses for webhooks; for development alone.",
    ),
]


def webhook_settings(
    hosts: list[str] | None, secret_file: Path | None, insecure: bool
) -> "WebhookSettings":
    """Return the settings that the options give.

    Raises UserError `bad_webhook_host`, `bad_webhook_secret`, `bad_webhook_options`.
    """
    from serve.webhooks.secret_file import read_webhook_secrets
    from serve.webhooks.settings import WebhookHost, WebhookSettings

    return WebhookSettings(
        hosts=tuple(WebhookHost.parsed(host) for host in hosts or ()),
        secrets=() if secret_file is None else read_webhook_secrets(secret_file),
        insecure=insecure,
    )

"""`mllm-affect worker`: a process that works on analyses and serves nothing.

Does: read options and print what the worker tells.  Does not: work (see serve.running).
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, OtlpEndpoint, RequireSandbox, verb
from mllm_affect.cli.serve import tell
from mllm_affect.cli.webhook_options import (
    WebhookHosts,
    WebhookInsecure,
    WebhookSecretFile,
    webhook_settings,
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("worker", no_args_is_help=True)(worker)


@verb
def worker(
    data: Annotated[Path, typer.Option(help="The folder that the service keeps its videos in.")],
    database: Annotated[
        str | None,
        typer.Option(help="PostgreSQL of the service: postgresql://USER@HOST/NAME."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Checkpoint folder; by default the embedded miniature."),
    ] = None,
    engine_url: Annotated[
        list[str] | None,
        typer.Option(help="Use this vLLM server and start none; repeat for several."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Analyses worked on at once.")] = 2,
    webhook_host: WebhookHosts = None,
    webhook_secret_file: WebhookSecretFile = None,
    webhook_insecure: WebhookInsecure = False,
    otlp_endpoint: OtlpEndpoint = None,
    require_sandbox: RequireSandbox = False,
    force: Annotated[
        bool, typer.Option("--force", help="Answer although the checkpoint knows other prompts.")
    ] = False,
    json: Json = False,
) -> None:
    """Work on the analyses that a service with the same --data and --database takes in.

    Example: mllm-affect worker --data /srv/affect --database postgresql://affect@db/affect
    """
    from mllm_affect.model.miniature import embedded_checkpoint
    from serve.plan import ServicePlan
    from serve.running import run_worker
    from serve.settings import ServiceSettings
    from serve.telemetry import checked_endpoint

    plan = ServicePlan(
        checkpoint=embedded_checkpoint() if model is None else model,
        model_name="miniature" if model is None else model.resolve().name,
        settings=ServiceSettings(
            data=data,
            database_url=database,
            jobs_at_once=jobs,
            otlp_endpoint=checked_endpoint(otlp_endpoint),
            require_sandbox=require_sandbox,
            webhooks=webhook_settings(webhook_host, webhook_secret_file, webhook_insecure),
        ),
        engine_urls=tuple(engine_url or ()),
        force=force,
    )
    run_worker(plan, say=lambda sentence: tell(sentence, json))

"""`mllm-affect serve`: the REST service with a vLLM server below it.

Does: read options and print what the service tells.  Does not: serve (see serve.running).
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mllm_affect.cli.common import Json, OtlpEndpoint, RequireSandbox, err, out, print_json, verb
from mllm_affect.cli.webhook_options import (
    WebhookHosts,
    WebhookInsecure,
    WebhookSecretFile,
    webhook_settings,
)
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from serve.plan import ServicePlan
    from serve.settings import ServiceSettings


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("serve")(serve)


@verb
def serve(
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Checkpoint folder; by default the embedded miniature."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    root_path: Annotated[
        str, typer.Option(help="Path under which a reverse proxy offers the service, as /affect.")
    ] = "",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Let pages of this origin ask (CORS), as https://app.example; repeat."),
    ] = None,
    engine_url: Annotated[
        list[str] | None,
        typer.Option(help="Use this vLLM server and start none; repeat for several."),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with the key that callers must send.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder for videos and results; by default nothing outlives the service."
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="PostgreSQL for several processes: postgresql://USER@HOST/NAME."),
    ] = None,
    audit_log: Annotated[
        Path | None, typer.Option(help="Append a JSON line for every request, without content.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(min=0, max=64, help="Analyses worked on here at once; 0: only by `worker`."),
    ] = 2,
    max_upload_mib: Annotated[
        int, typer.Option(min=1, max=65536, help="Largest video, in MiB.")
    ] = 512,
    max_video_seconds: Annotated[float, typer.Option(help="Longest video, in seconds.")] = 600.0,
    tensor_parallel: Annotated[
        int, typer.Option(min=1, max=64, help="GPUs that share the model.")
    ] = 1,
    max_model_len: Annotated[
        int | None,
        typer.Option(min=64, help="Longest prompt, in tokens; by default as the tasks need."),
    ] = None,
    engine_option: Annotated[
        list[str] | None, typer.Option(help="A word handed to `vllm serve` as it is; repeatable.")
    ] = None,
    engine_log: Annotated[
        Path | None, typer.Option(help="Keep the vLLM server's log in this file.")
    ] = None,
    webhook_host: WebhookHosts = None,
    webhook_secret_file: WebhookSecretFile = None,
    webhook_insecure: WebhookInsecure = False,
    otlp_endpoint: OtlpEndpoint = None,
    require_sandbox: RequireSandbox = False,
    force: Annotated[
        bool, typer.Option("--force", help="Answer although the checkpoint knows other prompts.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the vLLM command and start nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Answer questions about videos at POST /v1/ask until interrupted.

    Example: mllm-affect serve --model /models/Qwen3-Omni-30B-A3B-Instruct
    """
    from mllm_affect.engine.vllm_options import EngineOptions
    from mllm_affect.model.miniature import embedded_checkpoint
    from serve.plan import ServicePlan
    from serve.running import run_service
    from serve.telemetry import checked_endpoint

    checkpoint = embedded_checkpoint() if model is None else model
    plan = ServicePlan(
        checkpoint=checkpoint,
        model_name="miniature" if model is None else checkpoint.resolve().name,
        settings=_settings(
            host=host,
            port=port,
            root_path=root_path,
            allow_origin=allow_origin or [],
            api_key_file=api_key_file,
            max_video_seconds=max_video_seconds,
            data=data,
            database_url=database,
            audit_log=audit_log,
            jobs_at_once=jobs,
            max_upload_bytes=max_upload_mib << 20,
            otlp_endpoint=checked_endpoint(otlp_endpoint),
            require_sandbox=require_sandbox,
            webhooks=webhook_settings(webhook_host, webhook_secret_file, webhook_insecure),
        ),
        engine_urls=tuple(engine_url or ()),
        options=EngineOptions(
            tensor_parallel=tensor_parallel,
            max_model_len=max_model_len,
            extra=tuple(engine_option or ()),
        ),
        engine_log=engine_log,
        force=force,
    )
    if dry_run:
        _print_command(plan, json)
        return
    run_service(plan, say=lambda sentence: tell(sentence, json))


def _settings(
    api_key_file: Path | None,
    max_video_seconds: float,
    root_path: str,
    allow_origin: Sequence[str],
    **given: Any,
) -> "ServiceSettings":
    from serve.keys import read_api_keys
    from serve.origins import checked_origin
    from serve.paths import checked_prefix
    from serve.settings import ServiceSettings

    if not 0 < max_video_seconds <= 4 * 3600:
        raise UserError(
            "bad_max_video_seconds",
            f"--max-video-seconds is {max_video_seconds:g}; give up to four hours, 14400.",
        )
    keys = read_api_keys(api_key_file) if api_key_file else ()
    return ServiceSettings(
        keys=keys,
        max_video_seconds=max_video_seconds,
        root_path=checked_prefix(root_path),
        allow_origins=tuple(checked_origin(one) for one in allow_origin),
        **given,
    )


def _print_command(plan: "ServicePlan", json: bool) -> None:
    from mllm_affect.engine.checkpoint import check_checkpoint
    from mllm_affect.engine.largest_question import bounded_options
    from mllm_affect.engine.serving_memory import serving_memory
    from mllm_affect.engine.vllm_options import default_dtype, runs_on_cpu, serve_command
    from mllm_affect.media.types import Sampling

    profile = check_checkpoint(plan.checkpoint)
    options = bounded_options(plan.options, plan.checkpoint, profile)
    sampling = profile.sampling or Sampling()
    cpu = runs_on_cpu()
    words = serve_command(plan.checkpoint, sampling, 8001, options, cpu)
    dtype = options.dtype or default_dtype(cpu)
    length, gpus = options.max_model_len, options.tensor_parallel
    memory = serving_memory(plan.checkpoint, length or 0, dtype, gpus)
    if json:
        print_json({"command": words, "memory": asdict(memory)})
    else:
        err.print(memory.sentence(), highlight=False, markup=False)
        out.print(shlex.join(words), highlight=False, markup=False)


def tell(sentence: str, json: bool) -> None:
    """Print what has happened."""
    if json:
        print_json({"event": sentence})
    else:
        err.print(sentence, highlight=False, markup=False)

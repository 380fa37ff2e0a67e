"""A stock vLLM server as a supervised child process on loopback.

Does: put together the options (vllm_options) and the supervision (server_process).
Does not: send questions (see vllm_client).
"""

from pathlib import Path

from mllm_affect.engine.largest_question import bounded_options
from mllm_affect.engine.server_process import ServerProcess, free_port, refuse_port_in_use
from mllm_affect.engine.vllm_options import (
    EngineOptions,
    runs_on_cpu,
    serve_command,
    serve_environment,
)
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import read_profile

__all__ = ["VllmServer", "free_port", "refuse_port_in_use"]


class VllmServer(ServerProcess):
    """One vLLM server; use as a context manager, or call `start` and `stop`."""

    def __init__(
        self,
        checkpoint: Path,
        sampling: Sampling,
        log_path: Path,
        options: EngineOptions | None = None,
        port: int | None = None,
        key: str | None = None,
    ) -> None:
        """Prepare a server; `port` None takes a free one.

        Memory is planned for the largest question that this toolkit asks (largest_question).
        `key`: what everybody must send as a bearer token, on every route; None: nothing.
        Raises UserError as runs_on_cpu and read_profile do.
        """
        options, cpu = options or EngineOptions(), runs_on_cpu()
        options = bounded_options(options, checkpoint, read_profile(checkpoint))
        port = free_port() if port is None else port
        super().__init__(
            serve_command(checkpoint, sampling, port, options, cpu, keyed=key is not None),
            serve_environment(options, cpu, key=key),
            log_path,
            port,
            key,
        )

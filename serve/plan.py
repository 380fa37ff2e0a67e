"""What a service process is told when it is started."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mllm_affect.engine.vllm_options import EngineOptions
from mllm_affect.engine.watched_server import Patience
from serve.settings import ServiceSettings

Say = Callable[[str], None]
"""Told a sentence when something has happened."""


@dataclass(frozen=True)
class ServicePlan:
    """What to serve.

    `engine_urls` empty: start a vLLM server for `checkpoint`; else use those servers, which hold
    the same checkpoint.  `engine_log` None: the log is kept only while the engine runs.  `force`:
    answer although the checkpoint was trained with other prompts.
    """

    checkpoint: Path
    model_name: str
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    engine_urls: tuple[str, ...] = ()
    options: EngineOptions = field(default_factory=EngineOptions)
    engine_log: Path | None = None
    force: bool = False
    patience: Patience = field(default_factory=Patience)

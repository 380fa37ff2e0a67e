"""The engine behind the service: model servers that may still be starting.

Does: answer through the servers that are there; say whether the service can answer now.
Does not: start or end servers (see running).
"""

import threading
from collections.abc import Sequence

from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.tasks.model_input import ModelInput


class ServedEngine:
    """An Engine over one or more vLLM servers, not ready before it was told that they are warm."""

    def __init__(self, servers: Sequence[VllmEngine]) -> None:
        self._servers = list(servers)
        self._all = BalancedEngine(self._servers)
        self._warm = threading.Event()

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._all.model_id

    @property
    def servers(self) -> Sequence[VllmEngine]:
        """The servers, each to be warmed up on its own."""
        return self._servers

    def set_warm(self) -> None:
        """Let the service answer from now on."""
        self._warm.set()

    def is_ready(self) -> bool:
        """Return whether the servers are warm and any of them answers now."""
        return self._warm.is_set() and any(server.is_ready() for server in self._servers)

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine."""
        return self._all.score(inputs, answers)

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine."""
        return self._all.generate(inputs, max_new_tokens)

    def close(self) -> None:
        """Close the connections."""
        self._all.close()

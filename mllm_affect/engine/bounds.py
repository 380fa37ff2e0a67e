"""How long questions may take, and an engine that keeps to it.

Does: carry a stop and a time for each input to engines that can keep to them.
Does not: interrupt an engine that cannot; such a one is only not asked any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mllm_affect.engine.types import AnswerScores, Engine
from mllm_affect.stopping import Stop
from mllm_affect.tasks.model_input import ModelInput


@dataclass(frozen=True)
class Bounds:
    """Questions end when `stop` is set, and each input's after so many seconds (None: no bound)."""

    stop: Stop = field(default_factory=Stop)
    seconds: float | None = None


@runtime_checkable
class BoundableEngine(Engine, Protocol):
    """An engine whose questions can be given up while they run."""

    def score_within(
        self, inputs: Sequence[ModelInput], answers: Sequence[str], bounds: Bounds
    ) -> list[AnswerScores]:
        """Return scores as `score` does.

        Raises StoppedError once told to stop, EngineError or UserError where time has run out.
        """
        ...

    def generate_within(
        self, inputs: Sequence[ModelInput], max_new_tokens: int, bounds: Bounds
    ) -> list[str]:
        """Return text as `generate` does; raises as `score_within`."""
        ...


class BoundedEngine:
    """An Engine that asks another one within bounds; closing it leaves the other open."""

    def __init__(self, engine: Engine, bounds: Bounds) -> None:
        self._engine, self._bounds = engine, bounds

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._engine.model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine and BoundableEngine."""
        self._bounds.stop.check()
        if isinstance(self._engine, BoundableEngine):
            return self._engine.score_within(inputs, answers, self._bounds)
        return self._engine.score(inputs, answers)

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine and BoundableEngine."""
        self._bounds.stop.check()
        if isinstance(self._engine, BoundableEngine):
            return self._engine.generate_within(inputs, max_new_tokens, self._bounds)
        return self._engine.generate(inputs, max_new_tokens)

    def close(self) -> None:
        """Do nothing: the engine is others' too."""

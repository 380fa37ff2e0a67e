"""What an engine is: something that scores a fixed set of answers, or writes free text.

Does: state the contract.  Does not: run a model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mllm_affect.tasks.model_input import ModelInput


@dataclass(frozen=True)
class AnswerScores:
    """Log-probability of every allowed answer, renormalised over the allowed answers.

    Natural logarithms; `sum(exp(v)) == 1` within rounding.  The distribution is the one that
    constrained decoding at temperature 1 would draw from.
    """

    log_probabilities: Mapping[str, float]

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of every allowed answer."""
        return {answer: math.exp(value) for answer, value in self.log_probabilities.items()}

    @property
    def best(self) -> str:
        """The most probable answer; the first named wins a tie."""
        return max(self.log_probabilities, key=lambda answer: self.log_probabilities[answer])


class Engine(Protocol):
    """Answers questions about clips.  Implementations: vllm (HTTP), transformers, echo."""

    @property
    def model_id(self) -> str:
        """Name of the checkpoint that answers, for results."""
        ...

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input, in order.  Raises EngineError."""
        ...

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy free text for each input, in order.  Raises EngineError."""
        ...

    def close(self) -> None:
        """Release what the engine holds (connections, a model in memory)."""
        ...

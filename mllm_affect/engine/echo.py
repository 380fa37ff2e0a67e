"""An engine without a model, for tests of what surrounds engines.

Does: give the same made-up probabilities for the same clip and question, on any machine.
Does not: look at the content beyond hashing it; its answers mean nothing.
"""

import hashlib
import math
from collections.abc import Sequence

from mllm_affect.engine.answer_tree import check_answers
from mllm_affect.engine.types import AnswerScores
from mllm_affect.tasks.model_input import ModelInput


class EchoEngine:
    """An Engine whose answers depend on a hash of the input, or are fixed.

    `favourite`: the answer that always gets `certainty`; the others share the rest evenly.
    """

    def __init__(self, favourite: str | None = None, certainty: float = 0.9) -> None:
        self._favourite, self._certainty = favourite, certainty

    @property
    def model_id(self) -> str:
        """Always `echo`."""
        return "echo"

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return made-up scores; see Engine."""
        check_answers(answers)
        return [self._score_one(made, answers) for made in inputs]

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return the question back, cut to so many words; see Engine."""
        return [" ".join(made.text.split()[:max_new_tokens]) for made in inputs]

    def close(self) -> None:
        """Do nothing."""

    def _score_one(self, made: ModelInput, answers: Sequence[str]) -> AnswerScores:
        if self._favourite in answers:
            rest = (1.0 - self._certainty) / (len(answers) - 1)
            weights = [self._certainty if a == self._favourite else rest for a in answers]
        else:
            weights = [1.0 + _byte(made, answer) for answer in answers]
        total = sum(weights)
        return AnswerScores(
            {a: math.log(weight / total) for a, weight in zip(answers, weights, strict=True)}
        )


def _byte(made: ModelInput, answer: str) -> int:
    """Return a number from 0 to 255 drawn from the input and the answer."""
    digest = hashlib.sha256(made.prompt_hash.encode() + made.text.encode())
    digest.update(made.frames_THWC.tobytes())
    if made.audio_S is not None:
        digest.update(made.audio_S.tobytes())
    digest.update(answer.encode())
    return digest.digest()[0]

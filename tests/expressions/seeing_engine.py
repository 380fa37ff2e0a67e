"""An engine that answers from what the pictures hold, written into their first values.

A picture's red value at its corner says whether an expression is shown, its green one whether it
is micro.
"""

from collections.abc import Sequence

import numpy as np

from mllm_affect.engine.types import AnswerScores
from mllm_affect.tasks.model_input import ModelInput


class SeeingEngine:
    model_id = "seeing"

    def __init__(self) -> None:
        self.asked: list[ModelInput] = []

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.asked += inputs
        return [self._one(made, answers) for made in inputs]

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        raise AssertionError("nothing is generated")

    def close(self) -> None:
        pass

    def _one(self, made: ModelInput, answers: Sequence[str]) -> AnswerScores:
        shown = made.frames_THWC[:, 0, 0, 0].mean() / 255
        micro = made.frames_THWC[:, 0, 0, 1].max() > 0
        first = {
            "me_lvqa-event_here": shown,
            "me_lvqa-type_here": 0.9 if micro else 0.1,
            "me_lvqa-unit_shown": 0.8 if "cheek raiser" in made.text else 0.05,
        }[made.task_id]
        rest = (1.0 - first) / (len(answers) - 1)
        values = [first, *[rest] * (len(answers) - 1)]
        return AnswerScores(
            {a: float(np.log(max(v, 1e-9))) for a, v in zip(answers, values, strict=True)}
        )

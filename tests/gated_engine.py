"""The echo engine behind a gate: tests see that it is asked, and decide when it answers."""

import threading
from collections.abc import Sequence

from mllm_affect.engine.bounds import Bounds
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.tasks.model_input import ModelInput


class GatedEngine(EchoEngine):
    """Answers once `open` is set; sets `asked` when asked, `given_up` when it has to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.given_up, self.open = (threading.Event() for _ in range(3))

    def is_ready(self) -> bool:
        return True

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        return self.score_within(inputs, answers, Bounds())

    def score_within(
        self, inputs: Sequence[ModelInput], answers: Sequence[str], bounds: Bounds
    ) -> list[AnswerScores]:
        self.asked.set()
        while not self.open.wait(0.02):
            if bounds.stop.is_set:
                self.given_up.set()
            bounds.stop.check()
        return super().score(inputs, answers)

    def generate_within(
        self, inputs: Sequence[ModelInput], max_new_tokens: int, _bounds: Bounds
    ) -> list[str]:
        return self.generate(inputs, max_new_tokens)

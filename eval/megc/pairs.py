"""True answers beside predicted ones.

Does: join both by question and say what is missing.  Does not: score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.megc.predictions import Key, Predicted
from mllm_affect.data.megc.question_files import Answer, QuestionFile
from mllm_affect.data.megc.questions import Asked
from mllm_affect.errors import UserError


@dataclass(frozen=True)
class Pair:
    """One question with its truth and what was said; `said` is empty where nothing was."""

    dataset: str
    video_id: str
    text: str
    asked: Asked | None
    truth: Answer
    said: Answer

    @property
    def clip(self) -> str:
        """Name of the clip or video, unique over datasets: the unit that is redrawn."""
        return f"{self.dataset}/{self.video_id}"


def pair_up(truth: Sequence[QuestionFile], predicted: Mapping[Key, Predicted]) -> list[Pair]:
    """Return every true row with its prediction, in the files' order.

    Raises UserError `no_truth` when a row has no true answer, `mixed_tasks` when files of both
    tasks are given.
    """
    if len({file.task for file in truth}) > 1:
        raise UserError("mixed_tasks", "Give true answers of one task: ME-VQA or ME-LVQA.")
    pairs = []
    for file in truth:
        for row in file.rows:
            answer = row.answer
            if isinstance(answer, bool) or not isinstance(answer, str | int):
                raise UserError(
                    "no_truth",
                    f"{file.path}, line {row.line.number} holds no true answer; a question file "
                    "with its answers filled in is needed.",
                )
            found = predicted.get((row.dataset, row.video_id, row.text))
            said = found.answer if found is not None and found.answer is not None else ""
            pairs.append(Pair(row.dataset, row.video_id, row.text, row.asked, answer, said))
    return pairs


def unanswered(pairs: Sequence[Pair]) -> int:
    """Return how many questions have no answer, though there is something to say.

    A video without an expression shows no action units: nothing is what is to be said there.
    """
    return sum(pair.said == "" and pair.truth != "" for pair in pairs)

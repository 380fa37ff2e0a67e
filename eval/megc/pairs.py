"""True answers beside predicted ones.

Does: join both by row, say what is missing and which rows are redrawn together for intervals.
Does not: score.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.megc.people import Filmed, filmed_in, training_subjects
from eval.megc.predictions import Predicted
from mllm_affect.data.megc.answers import read_count
from mllm_affect.data.megc.question_files import (
    Answer,
    Question,
    QuestionFile,
    RowKey,
    Trained,
    by_clip,
)
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.errors import UserError


@dataclass(frozen=True)
class Pair:
    """One question with its truth and its prediction.

    `said` is empty where nothing was predicted; `answered` tells that from an empty list of action
    units, which is an answer.  `filmed` is given for long videos only.
    """

    dataset: str
    video: str
    text: str
    asked: Asked | None
    truth: Answer
    said: Answer
    answered: bool = True
    filmed: Filmed | None = None

    @property
    def clip(self) -> str:
        """Name of the clip or video, unique over datasets."""
        return f"{self.dataset}/{self.video}"

    @property
    def redrawn(self) -> str:
        """What is redrawn as a whole: the person of a long video, the clip itself otherwise."""
        return self.clip if self.filmed is None else self.filmed.person


Shares = Callable[[Pair], Mapping[str, float]]
"""Returns the probability of each answer to a question."""


def as_said(pair: Pair) -> Mapping[str, float]:
    """Return the one answer that was given, white space around it trimmed."""
    return {str(pair.said).strip(): 1.0}


def pair_up(
    truth: Sequence[QuestionFile],
    predicted: Mapping[RowKey, Predicted],
    train: Sequence[Trained] = (),
) -> list[Pair]:
    """Return every true row with its prediction, in the files' order.

    `train`: rows of the training file, which may say who is filmed.  Raises UserError `no_truth`
    when a row has no true answer, `mixed_tasks` when files of both tasks are given.
    """
    if len({file.task for file in truth}) > 1:
        raise UserError("mixed_tasks", "Give true answers of one task: ME-VQA or ME-LVQA.")
    subjects = training_subjects(train)
    pairs = []
    for file in truth:
        clips = by_clip(file.rows)
        for row in file.rows:
            answer = row.answer
            if isinstance(answer, bool) or not isinstance(answer, str | int):
                raise UserError(
                    "no_truth",
                    f"{file.path}, line {row.line.number} holds no true answer; a question file "
                    "with its answers filled in is needed.",
                )
            found = predicted.get(row.key)
            said = found.answer if found is not None and found.answer is not None else ""
            pairs.append(
                Pair(
                    dataset=row.dataset,
                    video=row.video,
                    text=row.text,
                    asked=row.asked,
                    truth=answer,
                    said=said,
                    answered=said != "" or _is_empty_list(row, clips[row.clip], predicted),
                    filmed=filmed_in(row, subjects) if file.task == "lvqa" else None,
                )
            )
    return pairs


def unanswered(pairs: Sequence[Pair]) -> int:
    """Return how many questions have no answer."""
    return sum(not pair.answered for pair in pairs)


def _is_empty_list(
    row: Question, of_video: Sequence[Question], predicted: Mapping[RowKey, Predicted]
) -> bool:
    """Whether a blank prediction says that no action unit is shown.

    It does about a video of which the predictions count no event; any other blank is no answer.
    """
    if row.asked is None or row.asked.kind is not Kind.distinct_units or row.key not in predicted:
        return False
    counts = [
        predicted[other.key].answer
        for other in of_video
        if other.asked is not None and other.asked.kind is Kind.count_all and other.key in predicted
    ]
    try:
        return bool(counts) and all(read_count(count) == 0 for count in counts)
    except ValueError:
        return False

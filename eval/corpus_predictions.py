"""Answers about a corpus as a predictions file, for `export`, `ensemble` and a later `evaluate`.

Does: turn each video's answer or refusal into a prediction, beside its label where one is known.
Does not: ask, or write the file.
"""

from collections.abc import Mapping
from typing import Any

from eval.predictions import Prediction
from eval.run import segment_prediction, usable_answer
from mllm_affect.data.examples import Example
from mllm_affect.errors import UserError
from mllm_affect.tasks.task import Task


def check_predictable(tasks: tuple[Task, ...]) -> None:
    """Raise UserError `bad_options` for several tasks, `free_text_task` for one without answers."""
    if len(tasks) != 1:
        raise UserError(
            "bad_options", "A predictions file holds answers to one task; name one --task for it."
        )
    if not tasks[0].answers:
        raise UserError(
            "free_text_task",
            f"Task {tasks[0].id} has no fixed answers to predict; take a table, .csv or .parquet.",
        )


def prediction_of(line: Mapping[str, Any], task: Task, example: Example | None) -> Prediction:
    """Return the prediction of one video from its line of the journal.

    A video of which nothing is known is taken to show a participant of its own.  A label that is no
    answer of the task is left out.
    """
    video = str(line["video"])
    label = example.labels.get(task.label_name) if example else None
    known: dict[str, Any] = {
        "video": video,
        "participant": example.participant if example else video,
        "split": example.split if example else "",
        "task": task.id,
        "label": label if label in task.answers else None,
        "classes": task.answers,
        "positive": task.positive,
        "topic": example.topic if example else None,
    }
    if "answer" not in line:
        return Prediction(**known, answer=None, problem=f"{line['code']}: {line['sentence']}")
    answer = line["answer"]
    return Prediction(
        **known,
        **usable_answer(answer, task.answers),
        threshold=answer.get("threshold"),
        abstained=bool(answer.get("abstained", False)),
        segments=tuple(segment_prediction(item) for item in answer["segments"]),
    )

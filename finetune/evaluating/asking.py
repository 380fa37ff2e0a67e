"""Answers to the labelled videos of a split, along the path of evaluation and service.

Does: ask about every video that has a label of a task; tell how good the answers are.
Does not: choose the videos, or hold a model.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mllm_affect.data.examples import Example
from mllm_affect.engine.types import Engine
from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.video import following_links
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.measures import macro_f1
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import context_of


def answered(
    data: Path,
    examples: Sequence[Example],
    tasks: Sequence[Task],
    engine: Engine,
    profile: ModelProfile,
    max_seconds: float,
    cache: ClipCache | None,
    *,
    trusted: bool,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[tuple[Task, Example, VideoAnswer | None]]:
    """Yield the answer to each task about each video that has its label.

    None stands for a video that cannot be used.  `told` is called with how many are done, of how
    many.
    """
    asked = [(task, item) for task in tasks for item in examples if task.label_name in item.labels]
    for done, (task, example) in enumerate(asked):
        told(done, len(asked))
        try:
            answer = answer_video(
                following_links(data / example.video), task, engine, profile, max_seconds,
                context=context_of(example), cache=cache, trusted=trusted,
            )  # fmt: skip
        except UserError:
            answer = None
        yield task, example, answer
    told(len(asked), len(asked))


def mean_macro_f1(
    answers: Sequence[tuple[Task, Example, VideoAnswer | None]],
) -> float:
    """Return the Macro-F1 of whole videos at the task's threshold, the mean over tasks.

    A video that cannot be used counts as answered wrongly.
    """
    scores = []
    for name in dict.fromkeys(task.id for task, _, _ in answers):
        of_task = [item for item in answers if item[0].id == name]
        task = of_task[0][0]
        positive_N = np.array(
            [item.labels[task.label_name] == task.positive for _, item, _ in of_task]
        )
        probability_N = np.array(
            [
                float(not positive) if answer is None else answer.probabilities[task.positive or ""]
                for positive, (_, _, answer) in zip(positive_N, of_task, strict=True)
            ]
        )
        scores.append(macro_f1(probability_N, positive_N, task.threshold))
    return float(np.mean(scores))

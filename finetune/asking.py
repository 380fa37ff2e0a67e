"""Answers to the labelled videos of a split, along the path of evaluation and service.

Does: ask about every video that has a label of a task.  Does not: choose the videos, hold a model,
or judge the answers (see calibrate and evaluating).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mllm_affect.data.examples import Example
from mllm_affect.data.footage import footage
from mllm_affect.engine.types import Engine
from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import context_of


def answered(
    data: Path,
    examples: Sequence[Example],
    tasks: Sequence[Task],
    engine: Engine,
    profile: ModelProfile,
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
                footage(data, example), task, engine, profile,
                context=context_of(example), cache=cache, trusted=trusted,
            )  # fmt: skip
        except UserError:
            answer = None
        yield task, example, answer
    told(len(asked), len(asked))

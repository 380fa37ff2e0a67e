"""What the model says about one short clip, question by question.

Does: ask an engine every task about a clip and return the probability of every answer.
Does not: decide (see scoring.clip_profile) or read files.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from mllm_affect.engine.types import Engine
from mllm_affect.media.types import Clip
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.task import Task

Key = TypeVar("Key")


def ask_clip(clip: Clip, tasks: Mapping[Key, Task], engine: Engine) -> dict[Key, dict[str, float]]:
    """Return by key the probability of every answer of each task; tasks have fixed answers.

    Tasks with the same answers go to the engine together.  Raises EngineError.
    """
    return ask_clips([clip], tasks, engine)[0]


def ask_clips(
    clips: "list[Clip]", tasks: Mapping[Key, Task], engine: Engine
) -> list[dict[Key, dict[str, float]]]:
    """Return the same for several clips, in order."""
    silent = [replace(clip, audio_S=None) for clip in clips]
    alike: dict[tuple[str, ...], list[Key]] = {}
    for key, task in tasks.items():
        alike.setdefault(task.answers, []).append(key)
    said: list[dict[Key, dict[str, float]]] = [{} for _ in clips]
    for answers, keys in alike.items():
        inputs = [model_input(clip, tasks[key]) for clip in silent for key in keys]
        scores = iter(engine.score(inputs, answers))
        for found in said:
            for key in keys:
                found[key] = next(scores).probabilities
    return [{key: found[key] for key in tasks} for found in said]

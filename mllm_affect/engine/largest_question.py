"""The largest question that a model server will be asked: pictures, sound, words.

Does: find it among the shipped tasks and free questions, and say which options bound a vLLM server
by it.  Does not: start a server, or bound what it is asked.

Left alone, vLLM plans its memory for the longest prompt that the model could take, and for the
largest video that such a prompt could hold: 62,720 tokens of video for Qwen3-Omni-30B-A3B, where a
segment has about 700.  That does not fit beside the weights on one GPU of 80 GB.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mllm_affect.engine.answer_tree import LONGEST_ANSWER
from mllm_affect.engine.vllm_options import EngineOptions
from mllm_affect.media.types import AUDIO_RATE, FRAME_MULTIPLE, Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.prompts import shipped_family_ids, shipped_task_ids, tasks_named
from mllm_affect.tasks.task import Task

LEAST_LENGTH, STEP = 8192, 1024
LONGEST_QUESTION = 4000
"""Characters of a question."""
CONTEXT_PARTS = 3
"""What was asked, what is said in the segment and in the video, each of bounded length."""
TOKENS_A_CHARACTER = 1
"""Latin scripts take a third of it, Chinese two thirds; what is longer vLLM refuses by itself."""
AUDIO_TOKENS_A_SECOND = 13
ROLES = 64
"""Tokens of the chat format around the media and the words."""


@dataclass(frozen=True)
class LargestQuestion:
    """Frames of one segment, the side of a square frame in pixels, seconds, tokens in all."""

    frames: int
    side: int
    seconds: float
    tokens: int

    @property
    def model_length(self) -> int:
        """Prompt length in tokens that holds it, at least LEAST_LENGTH."""
        return max(LEAST_LENGTH, STEP * math.ceil(self.tokens / STEP))

    def limits(self) -> dict[str, Any]:
        """Return the value of vLLM's `--limit-mm-per-prompt`."""
        video = {"count": 1, "num_frames": self.frames, "width": self.side, "height": self.side}
        sound = {"count": 1, "length": math.ceil(self.seconds * AUDIO_RATE)}
        return {"video": video, "audio": sound, "image": 0}


def largest_question(profile: ModelProfile) -> LargestQuestion:
    """Return the largest question that a checkpoint with this profile is asked."""
    seconds = profile.segment_seconds()
    names = (*shipped_task_ids(), *shipped_family_ids())
    tasks = [profile.fit(task) for name in names for task in tasks_named(name)]
    samplings = [*(task.sampling for task in tasks), profile.sampling or Sampling()]
    frames = max(one.most_frames(seconds) for one in samplings)
    video = max(one.most_frames(seconds) / 2 * one.max_pixels for one in samplings)
    pixels = max(one.max_pixels for one in samplings)
    side = FRAME_MULTIPLE * math.ceil(math.sqrt(pixels) / FRAME_MULTIPLE)
    sound = math.ceil(seconds * AUDIO_TOKENS_A_SECOND)
    words = TOKENS_A_CHARACTER * _most_characters(tasks)
    return LargestQuestion(
        frames, side, seconds, math.ceil(video / FRAME_MULTIPLE**2) + sound + words + ROLES
    )


def _most_characters(tasks: Iterable[Task]) -> int:
    asked = LONGEST_QUESTION
    for task in tasks:
        context = CONTEXT_PARTS * task.context.max_characters if task.context else 0
        asked = max(asked, len(task.question) + context)
    return asked + LONGEST_ANSWER


def bounded_options(
    options: EngineOptions, checkpoint: Path, profile: ModelProfile
) -> EngineOptions:
    """Return the options with the bounds that the largest question gives.

    A prompt length that was chosen stays; none goes beyond the checkpoint's own positions.
    """
    largest = largest_question(profile)
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    text = config.get("thinker_config", {}).get("text_config", {})
    positions = int(text.get("max_position_embeddings", largest.model_length))
    length = options.max_model_len or min(largest.model_length, positions)
    return replace(options, max_model_len=length, media_limits=largest.limits())

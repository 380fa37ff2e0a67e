"""The one function that turns a clip and a task into what the model reads.

Training rows, evaluation and serving all call `model_input`; nothing else may decide the
order of modalities, the text or the frames.  Does not: tokenise (see model.encode), sample
frames (see media.reader) or talk to an engine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.types import Clip, Segment
from mllm_affect.tasks.context import NOTHING, Told
from mllm_affect.tasks.task import Task


@dataclass(frozen=True)
class ModelInput:
    """One question about one clip.

    frames_THWC: uint8 RGB, shown at `fps` frames a second; audio_S: int16 mono at 16 kHz or None.
    The parts are always given to the model in the order audio, video, text.
    """

    segment: Segment
    task_id: str
    prompt_hash: str
    text: str
    fps: float
    frames_THWC: NDArray[np.uint8]
    audio_S: NDArray[np.int16] | None


def model_input(clip: Clip, task: Task, told: Told = NOTHING) -> ModelInput:
    """Return what the model reads when `task` is asked about `clip`.

    `told`: what is known besides the clip; a task without a context tells nothing of it.
    """
    wording = task.context
    return ModelInput(
        segment=clip.segment,
        task_id=task.id,
        prompt_hash=task.prompt_hash,
        text=task.question if wording is None else wording.text(told, task.question),
        fps=clip.sampling.fps,
        frames_THWC=clip.frames_THWC,
        audio_S=clip.audio_S,
    )

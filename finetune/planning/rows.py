"""How long a training row is: tokens and bytes of one whole segment.

Does: count what a segment of the longest length gives for a video of one size.
Does not: read videos, or load a tokenizer: the few tokens of the wording are estimated.
"""

import math
from dataclasses import dataclass

from mllm_affect.media.sampling.picture_size import model_size
from mllm_affect.media.types import FRAME_MULTIPLE, Sampling
from mllm_affect.tasks.task import Task

CHARACTERS_A_TOKEN = 3.5
ROLES = 24
"""Tokens of the chat format around a question and its answer, and around each medium."""
PATCH_VALUES = (FRAME_MULTIPLE // 2) ** 2 * 3 * 2
"""Values of one patch: 16 x 16 pixels, three colours, a pair of frames."""
MEL_BINS = 128
HOPS_A_SECOND = 100
FLOAT = 4


@dataclass(frozen=True)
class RowSize:
    """Tokens of a row's pictures, sound and words; bytes of its pixels and spectrum."""

    video: int
    audio: int
    text: int
    input_bytes: int
    formula: str

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.video + self.audio + self.text


def row_size(
    tasks: tuple[Task, ...], sampling: Sampling, seconds: float, width: int, height: int
) -> RowSize:
    """Return the size of a row about a segment of `seconds` with sound, in the longest wording.

    `width`, `height`: of the videos, in pixels.  Raises UserError `bad_sampling` as `model_size`.
    """
    from mllm_affect.model.encode import audio_tokens

    wide, high = model_size(width, height, sampling.max_pixels)
    frames = math.ceil(seconds * sampling.fps)
    if sampling.policy.kind != "uniform":
        frames = sampling.most_frames(seconds)
    pairs, cells = math.ceil(frames / 2), (wide // FRAME_MULTIPLE) * (high // FRAME_MULTIPLE)
    hops = round(seconds * HOPS_A_SECOND)
    words = max(len(task.question) + max(map(len, task.answers), default=0) for task in tasks)
    text = ROLES + math.ceil(words / CHARACTERS_A_TOKEN)
    return RowSize(
        video=pairs * cells,
        audio=audio_tokens(hops),
        text=text,
        input_bytes=(pairs * cells * 4 * PATCH_VALUES + MEL_BINS * hops) * FLOAT,
        formula=f"{pairs} pairs of frames x {cells} (frames of {wide}x{high}, one for 32x32) "
        f"+ {audio_tokens(hops)} for {seconds:g} s of sound + about {text} of words",
    )

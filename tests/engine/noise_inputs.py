"""Model inputs of noise, and of made clips cut to odd lengths."""

import numpy as np

from mllm_affect.media.types import Segment
from mllm_affect.tasks.model_input import ModelInput

QUESTION = "Is this person ambivalent or hesitant? Answer yes or no."


def noise_input(
    seed: int, frames: int = 4, samples: int | None = 16_000, question: str = QUESTION
) -> ModelInput:
    """Noise at the miniature's size and rate; every seed differs."""
    random = np.random.default_rng(seed)
    audio_S = None
    if samples is not None:
        audio_S = random.normal(0, 3000, samples).clip(-32768, 32767).astype(np.int16)
    return ModelInput(
        segment=Segment("0" * 64, seed, 0.0, frames / 4, 0, frames, samples is not None),
        task_id="ah",
        prompt_hash="0" * 64,
        text=question,
        fps=4.0,
        frames_THWC=random.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8),
        audio_S=audio_S,
    )

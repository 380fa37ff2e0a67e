"""What is left when a modality is taken away.

Does: replace a clip's sound by silence or its pictures by grey, keeping lengths and shapes, so
that only the content is missing.  Does not: change the file, the prompt or the token counts.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from mllm_affect.media.types import Clip

Ablation = Literal["audio", "video"]

ABLATIONS: tuple[Ablation, ...] = get_args(Ablation)

GREY = 128


def without_audio(clip: Clip) -> Clip:
    """Return the clip with silence of the same length; a clip without sound is left as it is."""
    if clip.audio_S is None:
        return clip
    return replace(clip, audio_S=np.zeros_like(clip.audio_S))


def without_video(clip: Clip) -> Clip:
    """Return the clip with every pixel at mid grey."""
    return replace(clip, frames_THWC=np.full_like(clip.frames_THWC, GREY))


def ablate(name: Ablation) -> Callable[[Clip], Clip]:
    """Return the function that takes the named modality away."""
    return {"audio": without_audio, "video": without_video}[name]

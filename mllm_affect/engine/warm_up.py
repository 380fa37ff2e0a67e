"""The first question to a fresh engine, so that no user waits for it.

Does: ask about a grey, silent second; a server compiles and loads what it needs meanwhile.
Does not: judge the answer.
"""

import numpy as np

from mllm_affect.engine.types import Engine
from mllm_affect.media.types import AUDIO_RATE, FRAME_MULTIPLE, Sampling, Segment
from mllm_affect.tasks.model_input import ModelInput

GREY = 128


def warm_up(engine: Engine, sampling: Sampling) -> None:
    """Ask one question with sound and one without.  Raises EngineError when the engine fails.

    Of the two answers one begins the other: a server that was started without our options cannot
    go on from the first token, and shows it here.
    """
    frames_THWC = np.full((2, FRAME_MULTIPLE, FRAME_MULTIPLE, 3), GREY, dtype=np.uint8)
    nothing = Segment("0" * 64, 0, 0.0, 1.0, 0, 2, has_audio=True)
    inputs = [
        ModelInput(nothing, "warm-up", "", "Ready?", sampling.fps, frames_THWC, audio_S)
        for audio_S in (np.zeros(AUDIO_RATE, dtype=np.int16), None)
    ]
    engine.score(inputs, ("yes", "yes and no"))

"""What a worker process draws of one clip for learning: frames, sound, measures of the face.

Does: run without torch, so that workers start fast.  Does not: patch, filter or batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.acting import Performance
from mllm_affect.data.made.clips import FRAME_RATE, ClipSpec, make_model_clip, sampled_frames
from mllm_affect.model.miniature.architecture import TEMPORAL_PATCH
from mllm_affect.model.miniature.processor import SAMPLING

SIDE = 64
"""Width and height of the frames, in pixels."""

UNITS = ("AU1", "AU4", "AU12", "AU15", "AU26")
FACE_TARGETS = (*UNITS, "gaze_x", "gaze_y", "eyelids", "turn")
"""The measures of a face that the towers are warmed up on."""


@dataclass(frozen=True)
class Drawn:
    """frames_THWC uint8 RGB and audio_S int16 as the model gets them; face_PD float32, the
    measures of the face (see FACE_TARGETS) averaged over every pair of frames."""

    frames_THWC: NDArray[np.uint8]
    audio_S: NDArray[np.int16]
    face_PD: NDArray[np.float32]


def draw(spec: ClipSpec) -> Drawn:
    """Draw one clip as reading its file would give it."""
    frames_THWC, audio_S, performance = make_model_clip(spec, SAMPLING.fps, SIDE)
    return Drawn(frames_THWC, audio_S, _measures(spec, performance))


def _measures(spec: ClipSpec, performance: Performance) -> NDArray[np.float32]:
    rows = []
    for index in sampled_frames(spec.frames, SAMPLING.fps):
        pose = performance.pose(index / FRAME_RATE)
        units = [pose.units.get(name, 0.0) for name in UNITS]
        rows.append([*units, pose.gaze_x, pose.gaze_y, pose.eyelids, pose.turn])
    measures_TD = np.array(rows, dtype=np.float32)
    pairs_P2D = measures_TD.reshape(-1, TEMPORAL_PATCH, len(FACE_TARGETS))
    return np.asarray(pairs_P2D.mean(1), dtype=np.float32)

"""Made clips held in memory in the form the towers read: patches, mel spectrograms, targets.

Does: draw a planned set on all given processes, patch and filter it as the processor would.
Does not: batch (see batches) or decode files.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mllm_affect.data.made.clips import ClipSpec
from mllm_affect.model.encode import waveform
from mllm_affect.model.miniature.architecture import MERGE, PATCH, TEMPORAL_PATCH
from mllm_affect.model.miniature.drawn import draw

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, steps done and steps in all."""


@dataclass(frozen=True)
class LearningClip:
    """patches_NV: uint8, N patches of V values in the vision tower's order; mel_MF: float32;
    face_PD: float32, the face's measures at every pair of frames (see FACE_TARGETS)."""

    spec: ClipSpec
    patches_NV: Tensor
    mel_MF: Tensor
    face_PD: Tensor


def make_clip_set(
    specs: Sequence[ClipSpec],
    feature_extractor: Any,
    processes: int = 2,
    progress: Progress | None = None,
) -> list[LearningClip]:
    """Return the clips of `specs`, in order.  `processes` changes the speed, not the result."""
    clips: list[LearningClip] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for drawn, spec in zip(pool.map(draw, specs, chunksize=32), specs, strict=True):
            clips.append(
                LearningClip(
                    spec,
                    torch.from_numpy(patches(drawn.frames_THWC)),
                    mel(feature_extractor, drawn.audio_S),
                    torch.from_numpy(drawn.face_PD),
                )
            )
            if progress is not None and (len(clips) % 50 == 0 or len(clips) == len(specs)):
                progress("drawing clips", len(clips), len(specs))
    return clips


def patches(frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the frames as rows of patch values, exactly in the video processor's order.

    Rows run over frame pairs, blocks of merged patches, patches in a block; values over channel,
    frame of the pair, line, column.
    """
    count, height, width, channels = frames_THWC.shape
    grid = frames_THWC.reshape(
        count // TEMPORAL_PATCH, TEMPORAL_PATCH,
        height // (PATCH * MERGE), MERGE, PATCH,
        width // (PATCH * MERGE), MERGE, PATCH, channels,
    )  # fmt: skip
    ordered = grid.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return np.ascontiguousarray(ordered.reshape(-1, channels * TEMPORAL_PATCH * PATCH * PATCH))


def mel(feature_extractor: Any, audio_S: NDArray[np.int16]) -> Tensor:
    """Return the log-mel spectrogram (128, F) float32 that the processor would make."""
    features = feature_extractor(
        [waveform(audio_S)], sampling_rate=16_000, padding=True, truncation=False,
        return_tensors="pt",
    )  # fmt: skip
    return torch.as_tensor(features["input_features"][0], dtype=torch.float32)

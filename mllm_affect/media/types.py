"""What a clip is, and by name all that it is made of.

Does: hold decoded content.  Does not: open files.  The facts come from source, which knows nothing
of parts; parts know the facts, and a clip holds parts.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.parts import Parts
from mllm_affect.media.source import AUDIO_RATE, FRAME_MULTIPLE, Sampling, Segment, Source

__all__ = ["AUDIO_RATE", "FRAME_MULTIPLE", "Clip", "Sampling", "Segment", "Source"]


@dataclass(frozen=True)
class Clip:
    """A segment's decoded content.

    frames_THWC: uint8 RGB, T even and at least 2, H and W multiples of 32.
    times_T: float64 seconds, when the source frame shown at each position comes on show: its
    timestamp, or the segment's start for one that is shown on or early (see Segment).
    audio_S: int16 mono at 16 kHz, or None when the source has no audio in this span.
    parts: what else the reader was asked to make in the same pass.
    """

    segment: Segment
    sampling: Sampling
    frames_THWC: NDArray[np.uint8]
    times_T: NDArray[np.float64]
    audio_S: NDArray[np.int16] | None
    parts: Parts = field(default_factory=Parts)

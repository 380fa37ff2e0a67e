"""In how many pictures of a clip is there a face.

Does: look at a few of a clip's model frames.  Does not: follow faces (see part and track).
"""

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.detector import detect

SIDE = 320
"""Longer side of what the detector looks at, in pixels."""

MIN_SCORE = 0.5
"""From this score on it is a face."""


def face_share(frames_THWC: NDArray[np.uint8], looks: int) -> float:
    """Return the share of up to `looks` frames, spread evenly, that show a face.

    `frames_THWC`: uint8 RGB.  Raises UserError `weights_missing`, `weights_differ` where the
    detector is not installed.
    """
    count = len(frames_THWC)
    places = sorted({int(count * (look + 0.5) / looks) for look in range(looks)})
    found = [bool(detect(frames_THWC[place], SIDE, MIN_SCORE)) for place in places]
    return sum(found) / len(found)

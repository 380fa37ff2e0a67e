"""One picture of how a face moved from its calm to its strongest frame, as optical flow.

Does: find both frames of a clip, estimate the flow between them, colour it, add it to the clip.
Does not: choose a clip's frames.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.types import Clip

FULL_SHARE = 0.03
"""A movement of this share of the picture's width has full brightness; more has no more."""


def with_motion_picture(clip: Clip) -> Clip:
    """Return the clip with a picture of its motion after its frames, twice: frames go in pairs.

    Its time is the apex's.
    """
    apex = apex_of(clip.frames_THWC)
    picture_HWC = motion_picture(clip.frames_THWC[0], clip.frames_THWC[apex])
    return replace(
        clip,
        frames_THWC=np.concatenate([clip.frames_THWC, np.stack([picture_HWC] * 2)]),
        times_T=np.concatenate([clip.times_T, np.repeat(clip.times_T[apex], 2)]),
    )


def apex_of(frames_THWC: NDArray[np.uint8]) -> int:
    """Return the frame that differs most from the first, light that changes everywhere taken off.

    The first of them, and 0 where nothing moves.
    """
    flat_TN = frames_THWC.reshape(len(frames_THWC), -1).astype(np.float32)
    change_TN = flat_TN - flat_TN[0]
    change_TN -= change_TN.mean(axis=1, keepdims=True)
    return int(np.abs(change_TN).mean(axis=1).argmax())


def motion_picture(onset_HWC: NDArray[np.uint8], apex_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the optical flow (Farneback 2003) from one picture to another as HWC uint8 RGB.

    Hue is the direction, brightness how far; black has not moved.
    """
    import cv2

    before_HW, after_HW = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (onset_HWC, apex_HWC))
    start_HW2 = np.zeros((*before_HW.shape, 2), dtype=np.float32)
    flow_HW2 = cv2.calcOpticalFlowFarneback(
        before_HW, after_HW, start_HW2, pyr_scale=0.5, levels=3, winsize=9, iterations=3,
        poly_n=5, poly_sigma=1.2, flags=0,
    )  # fmt: skip
    far_HW, angle_HW = cv2.cartToPolar(flow_HW2[..., 0], flow_HW2[..., 1], angleInDegrees=True)
    bright_HW = np.minimum(255.0, far_HW * (255.0 / (FULL_SHARE * onset_HWC.shape[1])))
    hsv_HWC = np.stack([angle_HW / 2.0, np.full_like(far_HW, 255.0), bright_HW], axis=-1)
    return np.asarray(cv2.cvtColor(hsv_HWC.astype(np.uint8), cv2.COLOR_HSV2RGB), dtype=np.uint8)

"""The picture of motion: what moved, whither, how far."""

import colorsys

import numpy as np
import pytest

from mllm_affect.expressions.motion_picture import apex_of, motion_picture, with_motion_picture
from mllm_affect.media.types import Clip, Sampling, Segment


def blob(x: float, y: float = 32.0, light: int = 0) -> np.ndarray:
    """A soft bright spot on a grey ground."""
    down, across = np.mgrid[0:64, 0:64]
    spot = 120 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / 60)
    return np.repeat((60 + light + spot).astype(np.uint8)[..., None], 3, axis=2)


def hue_at_the_spot(after: np.ndarray) -> float:
    red, green, blue = motion_picture(blob(32), after)[28:36, 28:36].reshape(-1, 3).mean(0) / 255
    return 360 * colorsys.rgb_to_hsv(red, green, blue)[0]


def test_hue_tells_the_direction_and_stillness_is_black() -> None:
    assert motion_picture(blob(32), blob(32)).max() == 0
    right, down = hue_at_the_spot(blob(34)), hue_at_the_spot(blob(32, 34))
    assert min(right, 360 - right) < 20
    assert down == pytest.approx(90, abs=20)


def test_brightness_tells_how_far() -> None:
    near, far = (motion_picture(blob(32), blob(32 + by))[24:40, 24:40].mean() for by in (0.7, 1.8))
    assert far > 1.5 * near > 0


def test_the_apex_is_where_most_has_moved_whatever_the_light() -> None:
    frames = np.stack([blob(32), blob(33), blob(35), blob(33, light=40)])
    assert apex_of(frames) == 2


def test_the_clip_gets_two_frames_more_at_the_time_of_the_apex() -> None:
    frames = np.stack([blob(32), blob(33), blob(35), blob(34)])
    segment = Segment("hash", 0, 0.0, 0.4, 0, 4, False)
    clip = Clip(segment, Sampling(4.0, 4096), frames, np.arange(4) / 10, None)
    shown = with_motion_picture(clip)
    assert np.array_equal(shown.frames_THWC[:4], frames)
    assert np.array_equal(shown.frames_THWC[4], motion_picture(blob(32), blob(35)))
    assert np.array_equal(shown.frames_THWC[4], shown.frames_THWC[5])
    assert shown.times_T.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.2, 0.2])

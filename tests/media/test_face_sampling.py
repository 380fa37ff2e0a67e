"""Motion is looked for in the face alone, where the policy says so."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mllm_affect.media.face.crops import TEMPLATE_52
from mllm_affect.media.face.detector import detect
from mllm_affect.media.probe import probe
from mllm_affect.media.sampling.policy import MotionPeak
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import open_video
from tests.real_videos import real_video

FACE = Sampling(2.0, 160 * 160, MotionPeak(count=8, rate=25, align="face"))
WHOLE = replace(FACE, policy=MotionPeak(count=8, rate=25))
RATE, SECONDS = 25, 4
TWITCH, PASSER_BY = (75, 80), (20, 35)
"""Frames in which the mouth moves, and in which something large moves beside the head."""


@pytest.fixture(scope="module")
def still() -> NDArray[np.uint8]:
    """One frame of a real face video."""
    with av.open(str(real_video("single_face"))) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


@pytest.fixture(scope="module")
def twitching(still: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The still face, with a small motion at the mouth and later a large one in the background."""
    (face,) = detect(still, 320, 0.5)
    x, y = face.points_52[3].astype(int)
    reach = max(4, int(face.size / 12))
    path = tmp_path_factory.mktemp("twitch") / "twitch.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = still.shape[:2]
        stream.pix_fmt = "yuv444p"
        for number in range(RATE * SECONDS):
            picture = still.copy()
            if TWITCH[0] <= number < TWITCH[1]:
                picture[y - reach : y + reach, x - reach : x + reach] //= 2
            if PASSER_BY[0] <= number < PASSER_BY[1]:
                picture[:, : still.shape[1] // 10] = 255 * (number % 2)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def clip_of(path: Path, sampling: Sampling, *, trusted: bool = True) -> Clip:
    with open_video(path, trusted=trusted) as video:
        (clip,) = video.read(sampling)
    return clip


def holds(clip: Clip, frames: tuple[int, int]) -> bool:
    """Whether the window that was chosen shares a time with these frames."""
    return bool(clip.times_T[0] < frames[1] / RATE and clip.times_T[-1] >= frames[0] / RATE)


def test_what_moves_beside_the_face_is_no_peak(twitching: Path) -> None:
    assert holds(clip_of(twitching, WHOLE), PASSER_BY)
    clip = clip_of(twitching, FACE)
    assert holds(clip, TWITCH)
    assert clip.frames_THWC.shape == (8, 160, 160, 3)


def test_landmarks_come_to_the_same_place(twitching: Path) -> None:
    frame_HWC = clip_of(twitching, FACE).frames_THWC[0]
    enlarged_HWC = cv2.resize(frame_HWC, (320, 320))
    best = detect(np.asarray(enlarged_HWC, dtype=np.uint8), 320, 0.3)[0]
    assert np.abs(best.points_52 / 320 - TEMPLATE_52).max() < 0.08


def test_a_confined_process_sees_the_same(twitching: Path) -> None:
    here, apart = clip_of(twitching, FACE), clip_of(twitching, FACE, trusted=False)
    np.testing.assert_array_equal(here.frames_THWC, apart.frames_THWC)
    np.testing.assert_array_equal(here.times_T, apart.times_T)


def test_without_a_face_the_picture_is_shown_whole() -> None:
    path = real_video("no_face")
    with open_video(probe(path), trusted=True) as video:
        shown, whole = (next(iter(video.read(sampling))) for sampling in (FACE, WHOLE))
    assert shown.frames_THWC.shape == whole.frames_THWC.shape


def test_who_does_not_ask_for_faces_is_hashed_as_ever() -> None:
    assert "align" not in WHOLE.facts()["policy"]
    assert FACE.facts()["policy"]["align"] == "face"

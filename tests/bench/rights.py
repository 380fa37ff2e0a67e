"""Whether what a reader made of a real-world input is right, and in a few words what it made.

Does: one judge for each row of tests/media/real_world_files.  Does not: read files by a reader.
A judge gets what was found and the file, and returns whether it is right, and facts for the table.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from heard import best_match
from numpy.typing import NDArray
from wheel_ffmpeg import shown_frames

from tests.bench.readers import Found, pyav
from tests.real_videos import real_video

Judge = Callable[[Found, Path], tuple[bool, str]]
QUADRANTS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255,) * 3}
FACE_LOOKS = 8
NEAR_LEVELS = 10


def orientation(found: Found, path: Path) -> tuple[bool, str]:
    """The four colours lie where ffmpeg shows them."""
    own, wanted = quadrants(found.pictures[0]), quadrants(shown_frames(path, 64, 128)[0])
    return own == wanted, f"{' '.join(own)}; ffmpeg: {' '.join(wanted)}"


def quadrants(picture_HWC: NDArray[np.uint8]) -> list[str]:
    """The nearest colour in the middle of each quarter."""
    height, width, _ = picture_HWC.shape
    return [
        min(QUADRANTS, key=lambda name: np.abs(colour - QUADRANTS[name]).sum())
        for down in (1, 3)
        for across in (1, 3)
        for colour in [picture_HWC[height * down // 4, width * across // 4].astype(int)]
    ]


def roundness(found: Found, path: Path) -> tuple[bool, str]:
    """A circle is as wide as high, but for sides in the model's multiples."""
    rows, columns = np.nonzero(found.pictures[0].mean(axis=2) > 128)
    shape = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
    return abs(shape - 1) < 0.04, f"{size_of(found)}, circle {shape:.2f} times as wide as high"


def brightness(found: Found, path: Path) -> tuple[bool, str]:
    """The mean is near that of the original in the standard range."""
    original = shown_frames(real_video("wide"), 320, 180)[:24].mean(axis=(0, 1, 2))
    mean = np.mean([one.mean(axis=(0, 1)) for one in found.pictures], axis=0)
    right = bool(np.abs(mean - original).max() < NEAR_LEVELS)
    return right, f"mean {rounded(mean)}; original {rounded(original)}"


def rounded(levels: NDArray[np.float64]) -> str:
    """Three levels as text."""
    return "/".join(f"{level:.0f}" for level in levels)


def faces(found: Found, path: Path) -> tuple[bool, str]:
    """A face is found in every picture."""
    from mllm_affect.media.face.detector import detect

    share = float(np.mean([bool(detect(one, 320, 0.5)) for one in found.pictures]))
    shapes = sorted({f"{one.shape[1]}x{one.shape[0]}" for one in found.pictures})
    return share == 1.0, f"a face in {share:.0%} of the pictures, {' and '.join(shapes)}"


def the_video(found: Found, path: Path) -> tuple[bool, str]:
    """Pictures are as sharp as those of the 640x360 stream, and last at least 2.5 s."""
    reference = sharpness(shown_frames(real_video("talking"), 448, 256)[0])
    own = np.mean([sharpness(cv2.resize(one, (448, 256))) for one in found.pictures])
    right = bool(own > reference / 2) and found.seconds > 2.5
    return right, f"{size_of(found)}, {found.seconds:.1f} s, {own / reference:.0%} as sharp"


def sharpness(picture_HWC: NDArray[np.uint8]) -> float:
    """The variance of the Laplacian of its grey levels."""
    return float(cv2.Laplacian(cv2.cvtColor(picture_HWC, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def speech(found: Found, path: Path) -> tuple[bool, str]:
    """The sound is that of the talking video, in place within 50 ms, either way round."""
    if found.sound_S is None:
        return False, "no sound"
    reference = pyav(real_video("talking")).sound_S
    assert reference is not None
    own_S, talk_S = found.sound_S.astype(np.float64), reference.astype(np.float64)
    rms = float(np.sqrt((own_S**2).mean()))
    if not own_S.any():
        return False, "silence"
    # An inverted microphone sounds the same.
    likeness = max(best_match(own_S, sign * talk_S)[0] for sign in (1, -1))
    return likeness > 0.9, f"correlation {likeness:.2f}, rms {rms:.0f}"


def lasting(seconds: float) -> Judge:
    """Return the judge of a video that lasts so long."""

    def judge(found: Found, path: Path) -> tuple[bool, str]:
        return abs(found.seconds - seconds) < 0.5, f"{found.seconds:.1f} s of {seconds:.0f}"

    return judge


def headers(found: Found, path: Path) -> tuple[bool, str]:
    """It lasts 45 s at 60 frames a second."""
    right = abs(found.seconds - 45) < 0.5 and (not found.fps or abs(found.fps - 60) < 0.5)
    return right, f"{found.seconds:.1f} s at {found.fps:.0f} frames a second"


def size_of(found: Found) -> str:
    """The size of the first picture."""
    height, width, _ = found.pictures[0].shape
    return f"{width}x{height}"


RIGHTS: dict[str, Judge] = {
    "mirrored display matrix": orientation,
    "pixels that are not square": roundness,
    "HDR: hybrid log-gamma": brightness,
    "HDR: PQ": brightness,
    "size changes midway": faces,
    "thumbnail track first": the_video,
    "strip of thumbnails first": the_video,
    "silent sound first, default second": speech,
    "APAC before AAC": speech,
    "APAC after AAC": speech,
    "headers that lie": headers,
    "timestamps of the sound that wobble by 10 ms": speech,
    "stereo with one channel inverted": speech,
    "a picture that stands still": lasting(26.0),
    "joined recordings, the clock restarts": lasting(12.0),
}
"""By the row's kind."""

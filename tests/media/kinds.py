"""The kinds of video that users bring, each as a tiny made file.

Does: name every kind of the segmentation matrix and say what was put into it.
"""

import random
from fractions import Fraction
from pathlib import Path

from made_videos import Made, regular, write

F = Fraction
NTSC = F(30_000, 1_001)
FILM = F(24_000, 1_001)
B_FRAMES = {"preset": "ultrafast", "bf": "3", "b-adapt": "0", "g": "250"}
LOSSLESS = {"sound_codec": "pcm_s16le"}
CLICKS = (F(7, 10), F(49, 10), F(51, 10), F(8))


def irregular(seconds: float, seed: int = 0) -> list[F]:
    """Frame times with gaps of 5 to 120 ms, as telephones in poor light make them."""
    draw = random.Random(seed)
    times, now = [], F(0)
    while now < seconds:
        times.append(now)
        now += F(draw.randint(5, 120), 1_000)
    return times


def spoken(times: list[F], end: F | int, **more: object) -> Made:
    """A video with sound from its first frame to `end`, clicking at CLICKS."""
    begin = times[0]
    clicks = [begin + click for click in CLICKS if begin + click < end - F(1, 10)]
    return Made(times, (begin, F(end)), clicks, **more)  # type: ignore[arg-type]


KINDS: dict[str, tuple[str, Made]] = {
    "film 23.976": ("mp4", spoken(regular(260, FILM), F(10), last_s=1 / FILM)),
    "25 a second": ("mp4", spoken(regular(260, 25), F(10))),
    "NTSC 29.97": ("mp4", spoken(regular(330, NTSC), F(11), last_s=1 / NTSC)),
    "60 a second": ("mov", spoken(regular(640, 60), F(10), last_s=F(1, 60))),
    "variable rate": ("mkv", spoken(irregular(11.0), F(11), **LOSSLESS)),
    "variable rate in mp4": ("mp4", spoken(irregular(11.0, seed=1), F(11))),
    "B-frames": ("mp4", spoken(regular(300, 25), F(12), options=B_FRAMES)),
    "B-frames in mkv": ("mkv", spoken(regular(300, 25), F(12), options=B_FRAMES, **LOSSLESS)),
    "non-zero start": ("mkv", spoken(regular(260, 25, start=7), F(17), **LOSSLESS)),
    "no audio": ("mp4", Made(regular(260, 25))),
    "audio longer than video": ("mp4", spoken(regular(200, 25), F(14))),
    "audio shorter than video": ("mp4", spoken(regular(300, 25), F(6))),
    "audio starts late": (
        "mkv",
        Made(regular(300, 25), (F(6), F(12)), [F(8), F(11)], **LOSSLESS),  # type: ignore[arg-type]
    ),
    "one frame": ("mp4", spoken(regular(1, 25), F(1))),
    "0.2 s": ("mp4", spoken(regular(5, 25), F(1, 5))),
    "exactly 5.000 s": ("mp4", spoken(regular(125, 25), F(5))),
    "5.001 s": ("mp4", spoken(regular(5_001, 1_000), F(5), last_s=F(1, 1_000))),
    "odd sizes": ("mp4", spoken(regular(150, 25), F(6), width=97, height=51, pixels="yuv444p")),
    "mirrored": ("mp4", spoken(regular(150, 25), F(6), mirrored=True)),
    "narrow pixels": ("mp4", spoken(regular(150, 25), F(6), width=52, pixel_aspect=F(2))),
    "picture and silence first": ("mkv", spoken(regular(150, 25), F(6), beside=True, **LOSSLESS)),
    "avi": ("avi", Made(regular(150, 25), codec="mjpeg", pixels="yuvj420p", options={})),
    "webm": (
        "webm",
        spoken(
            regular(150, 25), F(6), codec="libvpx-vp9", sound_codec="libopus",
            options={"cpu-used": "8", "deadline": "realtime"},
        ),
    ),
}  # fmt: skip


def make_kind(kind: str, folder: Path) -> tuple[Path, Made]:
    """Write one kind into `folder`; return its path and what is in it."""
    suffix, made = KINDS[kind]
    return write(folder / f"{kind.replace(' ', '-')}.{suffix}", made), made

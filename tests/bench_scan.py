"""What scanning a long video costs besides the model: `python -m tests.bench_scan`.

Does: scan 10,000 grey frames of 640x480 at 200 a second, and ten minutes of 640x480 video at 30,
each in a fresh process up to the windows a model would be asked about; print seconds by stage, how
many times faster than real time, and how memory grew after the first quarter.
Does not: ask a model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "media"))

from wheel_ffmpeg import run_ffmpeg

from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.expressions.sources import read_long
from mllm_affect.expressions.windows import overlapping, scanned
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.prompts import load_family

FRAMES, RATE_FPS = 10_000, 200.0
MINUTES, VIDEO_FPS = 10, 30
SIZE = (640, 480)
DIFFERENT = 50
"""Pictures that differ; the rest are copies in files of their own, which cost the same to read."""

T = TypeVar("T")


def make_folder(root: Path) -> None:
    """Write a folder `frames` of grey JPEG pictures that move a little."""
    random = np.random.default_rng(0)
    still_HW = cv2.GaussianBlur(random.integers(0, 256, SIZE[::-1], dtype=np.uint8), (0, 0), 3)
    folder = root / "frames"
    folder.mkdir()
    pictures = [
        cv2.imencode(".jpg", np.roll(still_HW, place % 5, axis=1))[1].tobytes()
        for place in range(DIFFERENT)
    ]
    for number in range(FRAMES):
        (folder / f"img{number}.jpg").write_bytes(pictures[number % DIFFERENT])


def make_video(root: Path) -> None:
    """Write `video.mp4`: H.264 without sound."""
    source = f"testsrc2=s={SIZE[0]}x{SIZE[1]}:r={VIDEO_FPS}:d={60 * MINUTES}"
    run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast",
               str(root / "video.mp4"))  # fmt: skip


class Stages:
    """Adds up the time of each stage, by waiting for what it yields."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[str] = []

    def timed(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """Yield `items`; the time that a stage inside takes is that stage's."""
        while True:
            begun, before = time.perf_counter(), sum(self.seconds.values())
            item = next(items, None)
            inside = sum(self.seconds.values()) - before
            spent = time.perf_counter() - begun - inside
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            if item is None:
                return
            yield item


def memory_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def scan(root: Path, name: str) -> dict[str, object]:
    """Scan one of them in this process; return what it cost."""
    family: Family = load_family("me_lvqa")
    sampling: Sampling = family.task("event_here").sampling
    files = ClipFinder(root).find(name)
    video_s = FRAMES / RATE_FPS if files.images else 60.0 * MINUTES
    stages, begun = Stages(), time.perf_counter()
    clips = stages.timed(
        "read", read_long(files, RATE_FPS, scanned(family.scan, sampling), trusted=True)
    )
    early = peak = 0.0
    windows = 0
    for window in stages.timed("windows", overlapping(clips, family.scan, sampling)):
        made = time.perf_counter()
        model_input(window, family.task("event_here"))
        stages.seconds["wording"] = stages.seconds.get("wording", 0.0) + time.perf_counter() - made
        windows += 1
        memory = memory_mib()
        if window.segment.end_s < video_s / 4:
            early = max(early, memory)
        peak = max(peak, memory)
    spent_s = time.perf_counter() - begun
    total_s = sum(stages.seconds.values())
    return {
        "windows": windows,
        "seconds": round(spent_s, 2),
        "times_real_time": round(video_s / spent_s, 2),
        "stages": {k: round(v, 3) for k, v in stages.seconds.items()},
        "shares": {k: round(v / total_s, 3) for k, v in stages.seconds.items()},
        "early_mib": round(early, 1),
        "growth": round(peak / early - 1.0, 3),
    }


def figures() -> dict[str, dict[str, object]]:
    """Make and scan both; return what each cost."""
    found = {}
    makers: dict[str, Callable[[Path], None]] = {"frames": make_folder, "video": make_video}
    for name, make in makers.items():
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            words = [sys.executable, "-m", "tests.bench_scan", folder, name]
            done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=900)
            found[name] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure both, or, given a folder and a name, scan that one here."""
    if len(sys.argv) > 1:
        value: object = scan(Path(sys.argv[1]), sys.argv[2])
    else:
        value = figures()
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main()

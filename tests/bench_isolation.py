"""What isolation costs: `python -m tests.bench_isolation`.

Does: read one made minute of 720p with sound in this process and in a process of its own, in turns,
and print the best of each, as other work on the machine only ever adds.  Does not: judge.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import typer

sys.path.insert(0, str(Path(__file__).parent / "media"))

from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.types import Sampling
from mllm_affect.media.video import open_video


def made_minute(folder: Path) -> Path:
    """Write a minute of 1280x720 at 30 frames a second, H.264 with AAC."""
    path = folder / "minute.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=60", "-f", "lavfi", "-i",
               "sine=d=60", "-c:v", "libx264", "-preset", "veryfast", "-g", "250",
               "-c:a", "aac", str(path))  # fmt: skip
    return path


def seconds(work: Callable[[], None]) -> float:
    """Time one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description="Time isolated beside trusted reading.")
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        path = made_minute(Path(folder))

        def read(trusted: bool) -> None:
            with open_video(path, trusted=trusted) as video:
                for _ in video.read(Sampling()):
                    pass

        def look() -> None:
            with open_video(path):
                pass

        start = min(seconds(look) for _ in range(turns))
        pairs = [(seconds(lambda: read(True)), seconds(lambda: read(False))) for _ in range(turns)]
    here, apart = (min(column) for column in zip(*pairs, strict=True))
    figures = {"start_and_probe_s": start, "in_process_s": here, "isolated_s": apart}
    rounded = {name: round(value, 3) for name, value in figures.items()}
    typer.echo(json.dumps({**rounded, "overhead": round(apart / here - 1, 3), "turns": turns}))


if __name__ == "__main__":
    main()

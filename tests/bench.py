"""Times our reading of a video beside a bare decode and beside re-encoding: `make bench`.

Does: make one 60 s clip, time each way in turn several times in this process, print medians and
ratios, write docs/benchmarks/<date>-media.md.  Does not: judge; goals stand in eval/figures.py.
"""

import datetime
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np

from mllm_affect.files import write_text
from mllm_affect.media.ffmpeg import ffmpeg_path
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
ROUNDS = 5
SECONDS = 60
COMMAND = "make bench"


def make_video(path: Path) -> None:
    """Write 60 s of 720p30 H.264 with a long group of pictures and an audio track."""
    picture = f"testsrc2=size=1280x720:rate=30:duration={SECONDS}"
    sound = f"sine=frequency=220:sample_rate=48000:duration={SECONDS}"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    coding = ["-preset", "veryfast", "-g", "250", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    run_ffmpeg(*inputs, "-c:v", "libx264", *coding, str(path))


def run_ffmpeg(*words: str) -> None:
    """Run the wheel's ffmpeg quietly."""
    subprocess.run([str(ffmpeg_path()), "-v", "error", "-y", *words], check=True)


def ours(path: Path) -> None:
    """Probe, segment, and read frames at 2 fps with 16 kHz audio for every segment."""
    source = probe(path)
    clips = list(read_clips(source, segment(source), Sampling(fps=2.0)))
    assert sum(clip.segment.duration_s for clip in clips) > SECONDS - 1


def bare_decode(path: Path) -> None:
    """Decode every frame with two threads and look at none of them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        assert sum(1 for _ in container.decode(stream)) == SECONDS * 30


def reencoded_pieces(path: Path) -> None:
    """Cut into 5 s files by x264 veryfast, then decode each and keep 2 frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        for index in range(SECONDS // 5):
            piece = Path(folder) / f"{index}.mp4"
            span = ["-ss", str(5 * index), "-i", str(path), "-t", "5"]
            run_ffmpeg(*span, "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", str(piece))
            with av.open(str(piece)) as container:
                frames = [f for i, f in enumerate(container.decode(video=0)) if i % 15 == 0]
                np.stack([f.reformat(448, 256, "rgb24").to_ndarray() for f in frames])


WAYS: dict[str, Callable[[Path], None]] = {
    "ours: probe, segment, 2 fps frames, audio": ours,
    "bare decode, PyAV, 2 threads": bare_decode,
    "5 s files by x264 veryfast, then sampled": reencoded_pieces,
}


def measure(path: Path) -> dict[str, list[float]]:
    """Run every way ROUNDS times in turn; return seconds per way."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            started = time.perf_counter()
            way(path)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def page(seconds: dict[str, list[float]]) -> str:
    """Return the benchmark note: medians, ratios to the bare decode, versions, command."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    bare = medians["bare decode, PyAV, 2 threads"]
    lines = [
        "# Reading 60 s of 720p30",
        "",
        f"`{COMMAND}`, two cores, median of {ROUNDS} rounds in turn, PyAV {version('av')}, "
        f"imageio-ffmpeg {version('imageio-ffmpeg')}.",
        "",
        "| way | seconds | times the bare decode | times real time |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {median:.2f} | {median / bare:.2f} | {SECONDS / median:.0f} |"
        for name, median in medians.items()
    ]
    lines += ["", "One decode of every frame is the floor for whoever needs exact frames.", ""]
    return "\n".join(lines)


def main() -> None:
    """Make the clip, measure, print and write the note."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.mp4"
        make_video(path)
        text = page(measure(path))
    write_text(DOCS / f"{datetime.date.today().isoformat()}-media.md", text)
    print(text)  # noqa: T201 - the program's output


if __name__ == "__main__":
    main()

"""Times preparing a corpus beside re-encoding every segment: `python -m tests.bench_prepare`.

Does: make four videos, time each way in turn several times, check that both yield the same number
of frames, print medians and ratios, write docs/benchmarks/<date>-prepare.md.
Does not: judge; `make bench` calls it, the goal stands beside the figure.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import av

from mllm_affect.files import read_jsonl, write_text
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.export.ffmpeg import ffmpeg_path
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Sampling

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
SECONDS = 60
PIECE_SECONDS = 5
ROUNDS = 3
COMMAND = "python -m tests.bench_prepare"
VIDEOS = {
    "720p30": ("1280x720", "30"),
    "720p25": ("1280x720", "25"),
    "480p25": ("854x480", "25"),
    "1080p30": ("1920x1080", "30"),
}
REENCODING = "segment files by x264 veryfast, then read"
PREPARE = "prepare"


@dataclass(frozen=True)
class Corpus:
    """The videos, and a folder in which every round writes somewhere new."""

    videos: tuple[Path, ...]
    work: Path

    def fresh(self) -> Path:
        """Return a new empty folder."""
        return Path(tempfile.mkdtemp(dir=self.work))


def run_ffmpeg(*words: str) -> None:
    """Run the wheel's ffmpeg quietly."""
    subprocess.run([str(ffmpeg_path()), "-v", "error", "-y", *words], check=True)


def make_corpus(folder: Path) -> Corpus:
    """Write one minute of each kind: H.264 with a long group of pictures, noise, and sound."""
    (folder / "videos").mkdir()
    for name, (size, rate) in VIDEOS.items():
        # Moving shapes under sensor noise: a clean test picture is too easy to encode and decode.
        picture = f"testsrc2=size={size}:rate={rate}:duration={SECONDS},noise=alls=6:allf=t"
        sound = f"sine=frequency=220:sample_rate=48000:duration={SECONDS}"
        inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
        coding = ["-preset", "veryfast", "-g", "250", "-pix_fmt", "yuv420p", "-c:a", "aac"]
        run_ffmpeg(*inputs, "-c:v", "libx264", *coding, str(folder / f"videos/{name}.mp4"))
    (folder / "work").mkdir()
    return Corpus(tuple(sorted((folder / "videos").iterdir())), folder / "work")


def prepared(corpus: Corpus, *options: str) -> int:
    """Run the program on the corpus, from its start to its exit; return the frames it made."""
    out = corpus.fresh()
    run_prepare(corpus, out, *options)
    return sum(
        round((one["end_s"] - one["start_s"]) * Sampling().fps)
        for row in read_jsonl(out / "prepared.jsonl")
        for one in row["segments"]
    )


def run_prepare(corpus: Corpus, out: Path, *options: str) -> None:
    """Run the program."""
    words = ["prepare", str(corpus.videos[0].parent), "--out", str(out), "--json", *options]
    subprocess.run([sys.executable, "-m", "mllm_affect", *words], check=True, capture_output=True)


def reencoded(corpus: Corpus, at_once: int) -> int:
    """Cut every video into files of five seconds by x264, then read each; return the frames."""
    folder = corpus.fresh()
    pieces = [
        (video, index, folder / f"{video.stem}-{index}.mp4")
        for video in corpus.videos
        for index in range(SECONDS // PIECE_SECONDS)
    ]
    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(_reencode_and_read, pieces))


def _reencode_and_read(piece: tuple[Path, int, Path]) -> int:
    video, index, path = piece
    span = ["-ss", str(PIECE_SECONDS * index), "-i", str(video), "-t", str(PIECE_SECONDS)]
    run_ffmpeg(*span, "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", str(path))
    clips = list(read_video(probe(path), Sampling(), max_seconds=2 * PIECE_SECONDS))
    path.unlink()
    return sum(round(clip.segment.duration_s * Sampling().fps) for clip in clips)


def read_back(corpus: Corpus, out: Path) -> int:
    """Read every clip from a prepared folder; return the frames."""
    cache = ClipCache.open(out)
    clips = (c for v in corpus.videos for c in cached_video(probe(v), Sampling(), cache=cache))
    return sum(round(clip.segment.duration_s * Sampling().fps) for clip in clips)


def again(corpus: Corpus, out: Path) -> int:
    """Prepare what is prepared."""
    run_prepare(corpus, out, "--trusted")
    return len(corpus.videos) * SECONDS * round(Sampling().fps)


def ways(corpus: Corpus) -> dict[str, Callable[[], int]]:
    """Return what is timed, by name."""
    done = corpus.fresh()
    run_prepare(corpus, done, "--trusted")
    return {
        PREPARE: partial(prepared, corpus),
        "prepare --trusted": partial(prepared, corpus, "--trusted"),
        "prepare --trusted --workers 1": partial(prepared, corpus, "--trusted", "--workers", "1"),
        REENCODING: partial(reencoded, corpus, 1),
        f"{REENCODING}, two at once": partial(reencoded, corpus, 2),
        "prepare --trusted, all prepared before": partial(again, corpus, done),
        "reading all clips from the cache": partial(read_back, corpus, done),
    }


def measure(rounds: int) -> dict[str, list[float]]:
    """Run every way so many times in turn; return seconds by way."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = ways(make_corpus(Path(folder)))
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, way in chosen.items():
                started = time.perf_counter()
                frames = way()
                seconds[name].append(time.perf_counter() - started)
                expected = len(VIDEOS) * SECONDS * Sampling().fps
                assert abs(frames - expected) <= len(VIDEOS) * 4, (name, frames)
    return seconds


def paired(seconds: dict[str, list[float]]) -> list[float]:
    """How many times faster `prepare` was in each round than the faster way of re-encoding."""
    reencoding = zip(seconds[REENCODING], seconds[f"{REENCODING}, two at once"], strict=True)
    return [min(two) / one for two, one in zip(reencoding, seconds[PREPARE], strict=True)]


def times_faster(rounds: int = 1) -> float:
    """How many times faster `prepare` is than re-encoding (the faster way of doing that)."""
    return statistics.median(paired(measure(rounds)))


def page(seconds: dict[str, list[float]]) -> str:
    """Return the benchmark note."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    pairs = paired(seconds)
    libraries = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in libav_versions())
    lines = [
        "# Preparing a corpus",
        "",
        f"`{COMMAND}`, {os.cpu_count()} cores, median of {len(seconds[PREPARE])} rounds in turn. "
        f"Four videos of {SECONDS} s ({', '.join(VIDEOS)}; H.264, 250 frames a group, sound), "
        f"2 frames a second at 448x256 and 16 kHz sound of every segment. PyAV {version('av')} "
        f"({libraries}), imageio-ffmpeg {version('imageio-ffmpeg')}.",
        "",
        "| way | seconds | times as long as `prepare` | range |",
        "|---|---|---|---|",
    ]
    for name, median in medians.items():
        low, high = min(seconds[name]), max(seconds[name])
        ratio = median / medians[PREPARE]
        lines.append(f"| {name} | {median:.2f} | {ratio:.2f} | {low:.2f} to {high:.2f} |")
    lines += [
        "",
        f"* re-encoding (the faster way of it) against `prepare`, paired within a round: "
        f"{statistics.median(pairs):.1f} x, {min(pairs):.1f} to {max(pairs):.1f} (goal >= 8)",
        f"* load at the end: {os.getloadavg()[0]:.1f}",
        "",
        "`prepare` is timed from the start of the program to its exit, with a process for every "
        "video and everything written and synced; re-encoding is timed without Python's start.",
        "",
    ]
    return "\n".join(lines)


def libav_versions() -> list[tuple[str, tuple[int, ...]]]:
    """The libraries that decode and scale."""
    return [
        (n, v) for n, v in sorted(av.library_versions.items()) if n in ("libavcodec", "libswscale")
    ]


def run(out: Path = DOCS, rounds: int = ROUNDS) -> None:
    """Measure, print and write the note."""
    text = page(measure(rounds))
    write_text(out / f"{datetime.date.today().isoformat()}-prepare.md", text)
    print(text)  # noqa: T201 - the program's output


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=DOCS)
    parser.add_argument("--json", action="store_true", help="print the goal's figure alone")
    chosen = parser.parse_args()
    if chosen.json:
        found = {"times_faster": times_faster(chosen.rounds)}
        print(json.dumps(found))  # noqa: T201 - the program's output
        return
    run(chosen.out, chosen.rounds)


if __name__ == "__main__":
    main()

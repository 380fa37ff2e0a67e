"""Reading ordinary videos beside an earlier commit: `python -m tests.bench_reading_before`.

Does: check the commit out into a temporary folder, read every video of tests/bench/videos by both
trees in turn, each reading in a process of its own, and write
docs/benchmarks/<date>-reading-before.md.  Does not: judge, or compare frames (see tests/media).

Only the time of reading counts, not that of starting Python.  Both trees run with the packages
that are installed now.
"""

import argparse
import datetime
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mllm_affect.files import write_text
from tests.bench.videos import KINDS, Kind, make

ROOT = Path(__file__).resolve().parent.parent
BEFORE = "c5eb1d2"
"""The last commit before display transforms, chosen streams and repaired clocks."""

ROUNDS = 9
READ = """
import sys, time
from pathlib import Path
from mllm_affect.media.types import Sampling
from mllm_affect.media.video import open_video
def read():
    with open_video(Path(sys.argv[1]), trusted=sys.argv[2] == "here") as video:
        return sum(len(clip.frames_THWC) for clip in video.read(Sampling(2.0, 448 * 448)))
read()
begun = time.perf_counter()
read()
print(time.perf_counter() - begun)
"""
"""The first reading warms the file's pages and Python's imports, the second is timed."""

PLACES = {"here": "in the caller's process", "apart": "in a sandboxed process"}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a folder that holds the files of `commit`."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def seconds(tree: Path, video: Path, place: str) -> float:
    """Return how long the code of `tree` takes to read `video`."""
    words = [sys.executable, "-P", "-c", READ, str(video), place]
    done = subprocess.run(
        words, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def ratios(before: Path, video: Path, place: str, rounds: int) -> list[float]:
    """Return now/before of each pair; the order alternates, so that drift cancels."""
    found = []
    for number in range(rounds):
        order = (ROOT, before) if number % 2 else (before, ROOT)
        took = {tree: seconds(tree, video, place) for tree in order}
        found.append(took[ROOT] / took[before])
    return found


def interval(logs_N: Sequence[float], redraws: int = 2_000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median ratio."""
    random = np.random.default_rng(0)
    drawn_RN = random.choice(np.array(logs_N), size=(redraws, len(logs_N)))
    low, high = np.quantile(np.median(drawn_RN, axis=1), (0.025, 0.975))
    return math.exp(low), math.exp(high)


def row(name: str, found: Sequence[float]) -> str:
    """Return one row of the table."""
    low, high = interval([math.log(one) for one in found])
    return f"| {name} | {statistics.median(found):.3f} | {low:.3f} to {high:.3f} |"


def measured(before: Path, kinds: Sequence[Kind], rounds: int) -> Iterator[str]:
    """Yield the rows of the table."""
    every: dict[str, list[float]] = {place: [] for place in PLACES}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            video = make(kind, Path(folder))
            for place, words in PLACES.items():
                found = ratios(before, video, place, rounds)
                every[place] += found
                yield row(f"{kind.name}, {words}", found)
    for place, words in PLACES.items():
        yield row(f"**all, {words}**", every[place])


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description="Time reading beside an earlier commit.")
    parser.add_argument("--commit", default=BEFORE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--print", action="store_true", help="write no file")
    asked = parser.parse_args()
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        f"# Reading beside commit {asked.commit}, {today}", "",
        f"Written by `python -m tests.bench_reading_before`: {asked.rounds} pairs a video; "
        "time now / time before (median, 95 % bootstrap interval of the median). Above 1: slower.",
        "", "| video | now / before | 95 % |", "|---|---|---|",
    ]  # fmt: skip
    with checked_out(asked.commit) as before:
        for line in measured(before, KINDS, asked.rounds):
            lines.append(line)
            sys.stderr.write(f"{line}\n")
    if not asked.print:
        write_text(ROOT / f"docs/benchmarks/{today}-reading-before.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Times our reading of videos beside peers, in turn, in one process: `make bench`.

Does: make the videos, time every way several times in turn, compare frames, print, and write
docs/benchmarks/<date>-media.md.  Does not: judge (goals stand beside the figures).
"""

import argparse
import datetime
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mllm_affect.files import write_text
from mllm_affect.media.looking import timeline_of
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import needed_frames
from mllm_affect.media.sampling.model_frames import ModelFrames
from tests import bench_prepare
from tests.bench.videos import KINDS, SECONDS, Kind, make
from tests.bench.ways import (
    BY_HAND,
    FLOOR,
    OURS,
    PEERS,
    REENCODING,
    SAMPLING,
    Job,
    Pictures,
    Way,
    offer_ffmpeg,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
COMMAND = "make bench"
PACKAGES = ("av", "opencv-python-headless", "decord", "imageio-ffmpeg", "qwen-omni-utils", "numpy")
ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """What one way did on one video: its shortest time, and how its frames compare with ours."""

    way: Way
    seconds: float
    frames: str


def measure(job: Job, ways: Sequence[Way], rounds: int) -> list[Figure]:
    """Time every way in turn; other work can only lengthen a run, so the shortest counts."""
    best: dict[str, float] = {}
    made: dict[str, Pictures] = {}
    for number in range(rounds):
        for way in ways:
            if number < way.rounds:
                started = time.perf_counter()
                made[way.name] = way.read(job)
                seconds = time.perf_counter() - started
                best[way.name] = min(best.get(way.name, seconds), seconds)
    return [
        Figure(way, best[way.name], compared(made[OURS.name], made[way.name], way)) for way in ways
    ]


def against_floor(only: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return how many times the bare decode ours takes, and the least by hand: medians of turns."""
    found: dict[str, dict[str, float]] = {}
    for kind in (kind for kind in KINDS if only in kind.name):
        with tempfile.TemporaryDirectory() as folder:
            job = Job.of(probe(make(kind, Path(folder))))
            turns = [
                {way: seconds(way, job) for way in (OURS, FLOOR, BY_HAND)} for _ in range(rounds)
            ]
        found[kind.name] = {
            name: round(statistics.median(turn[way] / turn[FLOOR] for turn in turns), 3)
            for name, way in (("ours", OURS), ("by hand", BY_HAND))
        }
    return found


def seconds(way: Way, job: Job) -> float:
    """Time one way once."""
    started = time.perf_counter()
    way.read(job)
    return time.perf_counter() - started


def compared(ours: Pictures, theirs: Pictures, way: Way) -> str:
    """Say how many frames are bit-identical to ours, and where not, why."""
    if way in (OURS, FLOOR):
        return f"{len(ours)} frames" if way is OURS else "none"
    if len(theirs) != len(ours):
        return f"{len(theirs)} frames; {way.differs}"
    equal = sum(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    if equal == len(ours):
        return f"all {equal} bit-identical"
    if ours[0].shape != theirs[0].shape:
        return f"another size; {way.differs}"
    levels = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(ours, theirs, strict=True)])
    return f"{equal} of {len(ours)} identical, {levels:.1f} levels apart; {way.differs}"


def share_decoded(job: Job) -> float:
    """How much of the video's packets our reading decodes."""
    timeline = timeline_of(job.source, lambda packet: None)
    if timeline is None:
        return 1.0
    needed_N = needed_frames(timeline, job.segments, [ModelFrames(SAMPLING)])
    return float(timeline.packets_for(needed_N).mean())


def table(kind: Kind, job: Job, figures: list[Figure]) -> list[str]:
    """The section of one video: every way, then the goals."""
    seconds = {figure.way: figure.seconds for figure in figures}
    floor, own, share = seconds[FLOOR], seconds[OURS], share_decoded(job)
    fastest = min((way for way in seconds if way in PEERS), key=lambda way: seconds[way])
    goal = "<= 1.05" if share == 1.0 else "< 1.00"
    lines = [
        f"## {kind.name}",
        "",
        f"{job.source.duration_s:.1f} s, {len(job.segments)} segments, "
        f"{job.source.size_bytes / 1e6:.1f} MB; ours decodes {100 * share:.0f} % of the pictures.",
        "",
        "| way | seconds | times the bare decode | times real time | frames |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {figure.way.name} | {figure.seconds:.2f} | {figure.seconds / floor:.2f} | "
        f"{job.source.duration_s / figure.seconds:.1f} | {figure.frames} |"
        for figure in figures
    ]
    lines += ["", f"* load when timed: {os.getloadavg()[0]:.1f}",
              f"* ours against the bare decode: {own / floor:.2f} (goal {goal}); against the least "
              f"work by hand: {own / seconds[BY_HAND]:.2f}",
              f"* fastest peer per segment ({fastest.name}) against ours: "
              f"{seconds[fastest] / own:.2f} x (goal >= 2)"]  # fmt: skip
    if REENCODING in seconds:
        lines.append(f"* re-encoding against ours: {seconds[REENCODING] / own:.1f} x")
    return [*lines, ""]


def heading() -> list[str]:
    """What was run, where, with which versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        "# Reading video: frames at 2 a second and 16 kHz sound for every segment",
        "",
        f"`{COMMAND}`: {SECONDS} s of a real face video with speech, H.264 and AAC; shortest of "
        f"{ROUNDS} rounds in turn in one process (other peers than PyAV two, the two slowest one); "
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the "
        f"start. {versions}.",
        "",
        "The physical limit of whoever must see every picture is the bare decode; below it one "
        "comes only by not decoding what no chosen frame depends on, and by decoding groups of "
        "pictures beside each other, which are exact (docs/design/0014). Sound and scaling come on "
        "top: “by hand” is a loop that decodes all and knows its segments beforehand.",
        "",
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Make the videos, measure, print and write the note."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="time the videos whose name contains this")
    parser.add_argument(
        "--against-floor", action="store_true", help="time ours beside its floors, print JSON"
    )
    parser.add_argument("--without-prepare", action="store_true", help="time no corpus")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=DOCS)
    chosen = parser.parse_args(words)
    logging.disable(logging.WARNING)
    if chosen.against_floor:
        found = against_floor(chosen.only, chosen.rounds)
        print(json.dumps(found))  # noqa: T201 - the program's output
        return
    lines = heading()
    with tempfile.TemporaryDirectory() as tools:
        offer_ffmpeg(Path(tools))
        with tempfile.TemporaryDirectory() as folder:  # imports and compilations are not timed
            small = Kind("", "scale=320:180", ("-t", "6"))
            for way in PEERS:
                way.read(Job.of(probe(make(small, Path(folder)))))
        for kind in KINDS:
            if chosen.only in kind.name:
                with tempfile.TemporaryDirectory() as folder:
                    job = Job.of(probe(make(kind, Path(folder))))
                    ways = [FLOOR, OURS, BY_HAND, *PEERS, REENCODING]
                    section = table(kind, job, measure(job, ways, chosen.rounds))
                print("\n".join(section), flush=True)  # noqa: T201 - the program's output
                lines += section
    write_text(chosen.out / f"{datetime.date.today().isoformat()}-media.md", "\n".join(lines))
    if not chosen.without_prepare:
        bench_prepare.run(chosen.out)


if __name__ == "__main__":
    main()

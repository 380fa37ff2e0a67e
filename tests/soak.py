"""Thirty minutes under load: `make soak`, memory and descriptors over time into runs/soak.

Does: run the service and a worker in front of a stub model server at about 80 % of what they can
do, look at both processes every few seconds, fit a line, save the plot.
Does not: judge answers beyond that all of them come.
"""

import argparse
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serve"))

import numpy as np
import psutil
from fleet import Fleet, fleet
from stub_engine import stub_engine

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.files import write_json

MINUTES, LOAD = 30.0, 0.8
LOOK_S = 5.0
WARM_UP_SHARE = 0.2
"""So much of the beginning does not count for the slopes: caches and pools fill up then."""

GROWTH_MIB_AN_HOUR, GROWTH_DESCRIPTORS_AN_HOUR = 32.0, 10.0


def make_video(path: Path) -> None:
    """Make six seconds of noise."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (6 * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
    write_video(frames, random.normal(0, 3000, 6 * 16_000).astype(np.int16), path)


def once(running: Fleet, video: Path, number: int) -> None:
    """Upload, ask and wait."""
    uploaded = running.post("/v1/videos", content=video.read_bytes())
    asked = {"video_id": uploaded["id"], "question": f"{number}?", "answers": ["yes", "no"]}
    made = running.post("/v1/analyses", json=asked)
    while (found := running.get(f"/v1/analyses/{made['id']}"))["status"] != "succeeded":
        assert found["status"] in ("queued", "running"), found
        time.sleep(0.05)


def main(words: Sequence[str] | None = None) -> None:
    """Soak, plot, end with 1 where something failed or grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    chosen = parser.parse_args(words)
    with (
        tempfile.TemporaryDirectory() as folder,
        stub_engine(0.05) as stub,
        fleet(Path(folder) / "data", stub) as running,
    ):
        video = Path(folder) / "video.mp4"
        make_video(video)
        seen, failures, done = soak(running, video, chosen.minutes * 60)
    told = verdict(seen, failures, done)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_json(chosen.out / "soak.json", {**told, "looks": seen})
    plot(seen, chosen.out / "soak.png")
    print(json.dumps(told))  # noqa: T201 - the program's output
    sys.exit(0 if told["held"] else 1)


def soak(
    running: Fleet, video: Path, seconds: float
) -> tuple[list[dict[str, float]], list[str], int]:
    """Return what was seen, what failed and how many analyses were done."""
    numbers, failures, ending = itertools.count(), [], threading.Event()
    begun = time.monotonic()
    for _ in range(5):
        once(running, video, next(numbers))
    every_s = (time.monotonic() - begun) / 5 / LOAD

    def asking() -> None:
        due = time.monotonic()
        while not ending.wait(max(0.0, due - time.monotonic())):
            due = max(due + every_s, time.monotonic())
            try:
                once(running, video, next(numbers))
            except Exception as error:
                failures.append(repr(error))

    thread = threading.Thread(target=asking, daemon=True)
    thread.start()
    members = {"service": running.services[0], "worker": running.workers[0]}
    processes = {name: psutil.Process(one.process.pid) for name, one in members.items()}
    seen: list[dict[str, float]] = []
    while time.monotonic() - begun < seconds:
        look = {"minutes": (time.monotonic() - begun) / 60}
        for name, process in processes.items():
            look[f"{name}_mib"] = process.memory_info().rss / (1 << 20)
            look[f"{name}_descriptors"] = float(process.num_fds())
        seen.append(look)
        time.sleep(LOOK_S)
    ending.set()
    thread.join(60)
    return seen, failures, next(numbers)


def verdict(seen: list[dict[str, float]], failures: list[str], done: int) -> dict[str, object]:
    """Return slopes per hour, and whether they and the failures hold to the bounds."""
    later = seen[round(len(seen) * WARM_UP_SHARE) :]
    hours = [look["minutes"] / 60 for look in later]
    slopes = {
        name: float(np.polyfit(hours, [look[name] for look in later], 1)[0])
        for name in later[0]
        if name != "minutes"
    }
    bounds = {"mib": GROWTH_MIB_AN_HOUR, "descriptors": GROWTH_DESCRIPTORS_AN_HOUR}
    held = all(slope <= bounds[name.rpartition("_")[2]] for name, slope in slopes.items())
    return {
        "held": held and not failures, "analyses": done, "failures": failures[:5],
        "an_hour": {name: round(slope, 2) for name, slope in slopes.items()},
    }  # fmt: skip


def plot(seen: list[dict[str, float]], path: Path) -> None:
    """Draw memory and descriptors over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    for place, unit in enumerate(("mib", "descriptors"), start=1):
        axes = figure.add_subplot(2, 1, place, xlabel="minutes", ylabel=unit)
        for name in ("service", "worker"):
            axes.plot(
                [look["minutes"] for look in seen],
                [look[f"{name}_{unit}"] for look in seen],
                label=name,
            )
        axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()

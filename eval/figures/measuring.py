"""How the figures are measured: each function runs the real thing and returns one number.

Does: start the programs, read what they wrote.  Does not: know goals.

Figures of the demonstration are read from its `figures.json` if that was written by this very
code, else the demonstration is run first.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from eval import me_chain
from eval.ah_chain import chain_figures
from eval.provenance import code_hash
from mllm_affect.files import read_jsonl

PROGRAM = Path(sys.executable).parent / "mllm-affect"
RUNS = Path("runs")
MORE_SEEDS = (1, 2)
ATTEMPTS = 7


def best_seconds(command: list[str], attempts: int = ATTEMPTS) -> float:
    """Return the shortest wall time of several runs; other work can only lengthen a run.

    The first run is thrown away: it may write byte code.
    """
    seconds = []
    for _ in range(attempts + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def help_seconds() -> float:
    """Wall time of `mllm-affect --help`, from start to exit."""
    return best_seconds([str(PROGRAM), "--help"])


def import_seconds() -> float:
    """Time that `import mllm_affect` takes inside a fresh interpreter."""
    code = (
        "import time; start = time.perf_counter(); import mllm_affect;"
        "print(time.perf_counter() - start)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
        )
        for _ in range(ATTEMPTS)
    ]
    return min(float(run.stdout) for run in runs)


def demo_figures(out: Path, seed: int = 0, offline: bool = False) -> Mapping[str, Any]:
    """Return the figures of a demonstration by this code, running it if there are none.

    Raises subprocess.CalledProcessError when the demonstration fails.
    """
    path = out / "figures.json"
    if path.is_file():
        figures: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if figures.get("code") == code_hash():
            return figures
    command = [str(PROGRAM), "demo", "--out", str(out), "--seed", str(seed)]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    subprocess.run([*command, *(["--offline"] if offline else [])], check=True, env=environment)
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def demo(*keys: str) -> float:
    """Return one figure of the demonstration with seed 0."""
    value: Any = demo_figures(RUNS / "demo")
    for key in keys:
        value = value[key]
    return float(value)


def demo_mean(*keys: str) -> float:
    """Return the mean of one figure over the demonstrations with seeds 0, 1 and 2."""
    values = [demo(*keys)]
    for seed in MORE_SEEDS:
        value: Any = demo_figures(RUNS / f"demo-seed-{seed}", seed, offline=True)
        for key in keys:
            value = value[key]
        values.append(float(value))
    return fmean(values)


def ah_chain(key: str) -> float:
    """Return one figure of the README's commands on a made release of BAH."""
    return float(chain_figures(Path())[key])


def me_chain_figure(*keys: str) -> float:
    """Return one figure of the micro-expression commands on made data."""
    value: Any = me_chain.chain_figures(Path())
    for key in keys:
        value = value[key]
    return float(value)


@cache
def printed(module: str, *words: str) -> Mapping[str, Any]:
    """Run one of our benches, once, and return the JSON object that it prints."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def bench_figure(module: str, name: str, figure: str) -> float:
    """Return one figure of what a bench measured under that name."""
    return float(printed(module)[name][figure])


def against_bare_decode(only: str, rounds: int = 5) -> float:
    """Return how many times a bare two-thread decode our reading of a video takes."""
    words = ("--against-floor", "--only", only, "--rounds", str(rounds))
    return max(float(times["ours"]) for times in printed("tests.bench", *words).values())


def joint_gain() -> float:
    """Lower end of the interval of what one profile a clip gains over separate answers."""
    from eval.megc.joint_gain import measure

    return measure().interval.low


def frames_with_a_face(video: Path) -> float:
    """Return the share of a fetched video's frames in which `segment --faces` follows a face."""
    out = RUNS / "faces" / video.stem
    command = [str(PROGRAM), "segment", str(video), "--faces", "--out", str(out), "--json"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    rows = read_jsonl(out / "faces.jsonl")
    return fmean(frame["score"] > 0 for row in rows for frame in row["frames"])

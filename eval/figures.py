"""Every measurable claim of the README and docs, measured again: `make figures`.

Does: list the claims, measure each, print a line each (figure, goal, command) and exit 1 where
one falls short.  Does not: hold results.  To add a claim, add one entry to CLAIMS.

Figures of the demonstration are read from its `figures.json` if that was written by this very
code, else the demonstration is run first.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

from eval import me_chain
from eval.ah_chain import chain_figures
from eval.provenance import code_hash
from mllm_affect.files import read_jsonl

PROGRAM = Path(sys.executable).parent / "mllm-affect"
RUNS = Path("runs")
FIXTURES = Path(".cache/fixtures")
MORE_SEEDS = (1, 2)
ATTEMPTS = 7


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: `at_least` or `at_most`, in the figure's unit."""

    at_least: float | None = None
    at_most: float | None = None

    def reached(self, value: float) -> bool:
        """Whether `value` is good enough."""
        enough = self.at_least is None or value >= self.at_least
        return enough and (self.at_most is None or value <= self.at_most)

    def text(self, unit: str) -> str:
        """Say the goal in words."""
        if self.at_least is not None:
            return f"at least {show(self.at_least, unit)}"
        return f"at most {show(self.at_most or 0.0, unit)}"


@dataclass(frozen=True)
class Claim:
    """One claim: its name, its goal, the command that makes the figure, and how to measure it."""

    name: str
    goal: Goal
    unit: str
    command: str
    measure: Callable[[], float]


def show(value: float, unit: str) -> str:
    """Write a figure with its unit; shares as percentages, whole numbers without decimals."""
    if unit == "%":
        return f"{100 * value:.1f} %"
    number = f"{value:.0f}" if value == int(value) else f"{value:.3f}"
    return f"{number} {unit}".strip()


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


def me_chain_figure(task: str, table: str, name: str) -> float:
    """Return one figure of the micro-expression commands on made data."""
    return float(me_chain.chain_figures(Path())[task][table][name])


@cache
def scanned() -> Mapping[str, Any]:
    """What scanning a long folder and a long video costs besides the model."""
    found: Mapping[str, Any] = json.loads(
        subprocess.run(SCAN, check=True, capture_output=True, text=True, timeout=1800).stdout
    )
    return found


def scan_figure(name: str, figure: str) -> float:
    """Return one figure of scanning the folder (`frames`) or the video."""
    return float(scanned()[name][figure])


@cache
def bah_index() -> Mapping[str, Any]:
    """Seconds and peak memory of reading 91 MB of made annotations, and of loading the index."""
    found: Mapping[str, Any] = json.loads(
        subprocess.run(BAH_INDEX, check=True, capture_output=True, text=True, timeout=900).stdout
    )
    return found


def printed(module: str, *words: str) -> Mapping[str, float]:
    """Run one of our benches and return the JSON object that it prints."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    found: Mapping[str, float] = json.loads(done.stdout)
    return found


def against_bare_decode(only: str) -> float:
    """Return how many times a bare two-thread decode our reading of a video takes."""
    return max(printed("tests.bench", "--against-floor", "--only", only).values())


BAH_INDEX = [sys.executable, "-m", "tests.bench_bah_index"]
FACES = "mllm-affect segment VIDEO --faces --out runs/faces"
DEMO = "mllm-affect demo"
AH = "the five commands of the README on a made release of BAH"
SCAN = [sys.executable, "-m", "tests.bench_scan"]
ME = "the commands of the README on made micro-expressions"
DEMO_SEEDS = "mllm-affect demo --offline --seed 1 --out runs/demo-seed-1 (and 2)"


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


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "reading a video with B-frames, against a bare decode",
        Goal(at_most=1.0),
        "x",
        "python -m tests.bench --against-floor --only B-frames",
        partial(against_bare_decode, "B-frames"),
    ),
    Claim(
        "frames of a real face video with a face",
        Goal(at_least=0.99),
        "%",
        FACES,
        partial(frames_with_a_face, FIXTURES / "wide.mp4"),
    ),
    Claim(
        "frames of a video without a face with a face",
        Goal(at_most=0.0),
        "%",
        FACES,
        partial(frames_with_a_face, FIXTURES / "no_face.mp4"),
    ),
    Claim(
        "answers of one profile a clip against separate ones, simulated, lower end of the interval",
        Goal(at_least=0.0),
        "%",
        "python -m eval.megc.joint_gain",
        joint_gain,
    ),
    Claim(
        "coarse class on held-out made people, UF1",
        Goal(at_least=0.70),
        "",
        ME,
        partial(me_chain_figure, "vqa", "figures", "UF1 Coarse Overall"),
    ),
    Claim(
        "coarse class without looking, UF1",
        Goal(at_most=0.40),
        "",
        ME,
        partial(me_chain_figure, "vqa", "floor", "UF1 Coarse Overall"),
    ),
    Claim(
        "events counted in made videos of one to three minutes, mean absolute error",
        Goal(at_most=0.5),
        "events",
        ME,
        partial(me_chain_figure, "lvqa", "figures", "MAE events Overall"),
    ),
    *(
        claim
        for name, words in (
            ("frames", "10,000 frames at 200 a second"),
            ("video", "a video of ten minutes at 30 frames a second"),
        )
        for claim in (
            Claim(
                f"scanning {words}, times faster than real time, model excluded",
                Goal(at_least=1.0),
                "",
                "python -m tests.bench_scan",
                partial(scan_figure, name, "times_real_time"),
            ),
            Claim(
                f"growth of memory after a quarter of {words}",
                Goal(at_most=0.20),
                "%",
                "python -m tests.bench_scan",
                partial(scan_figure, name, "growth"),
            ),
        )
    ),
    Claim(
        "importing the package",
        Goal(at_most=0.150),
        "s",
        "python -c 'import mllm_affect'",
        import_seconds,
    ),
    Claim("asking for help", Goal(at_most=0.5), "s", "mllm-affect --help", help_seconds),
    Claim(
        "building the index of 91 MB of annotations",
        Goal(at_most=30),
        "s",
        "python -m tests.bench_bah_index",
        lambda: float(bah_index()["build"]["seconds"]),
    ),
    Claim(
        "loading that index again",
        Goal(at_most=1),
        "s",
        "python -m tests.bench_bah_index",
        lambda: float(bah_index()["reload"]["seconds"]),
    ),
    Claim(
        "memory while building that index",
        Goal(at_most=1024),
        "MiB",
        "python -m tests.bench_bah_index",
        lambda: float(bah_index()["build"]["peak_mib"]),
    ),
    Claim(
        "held-out made clips in the demonstration",
        Goal(at_least=300),
        "clips",
        DEMO,
        partial(demo, "held_out", "clips"),
    ),
    Claim(
        "accuracy before fine-tuning",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "before", "accuracy"),
    ),
    Claim(
        "accuracy after fine-tuning",
        Goal(at_least=0.90),
        "%",
        DEMO,
        partial(demo, "after", "accuracy"),
    ),
    Claim(
        "accuracy after, sound taken away",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "without_audio", "accuracy"),
    ),
    Claim(
        "accuracy after, pictures taken away",
        Goal(at_most=0.60),
        "%",
        DEMO,
        partial(demo, "without_video", "accuracy"),
    ),
    Claim(
        "clips asked over HTTP",
        Goal(at_least=100),
        "clips",
        DEMO,
        partial(demo, "served", "clips"),
    ),
    Claim(
        "answers over HTTP that equal the offline ones",
        Goal(at_least=1.0),
        "%",
        DEMO,
        partial(demo, "served", "agreement"),
    ),
    Claim(
        "the demonstration without installation",
        Goal(at_most=9 * 60),
        "s",
        DEMO,
        partial(demo, "seconds_in_all"),
    ),
    Claim(
        "accuracy before fine-tuning, mean of three seeds",
        Goal(at_most=0.60),
        "%",
        DEMO_SEEDS,
        partial(demo_mean, "before", "accuracy"),
    ),
    Claim(
        "accuracy after fine-tuning, mean of three seeds",
        Goal(at_least=0.90),
        "%",
        DEMO_SEEDS,
        partial(demo_mean, "after", "accuracy"),
    ),
    Claim(
        "ambivalence on held-out made people, macro-F1",
        Goal(at_least=0.80),
        "",
        AH,
        partial(ah_chain, "macro_f1"),
    ),
    Claim(
        "the strongest prior on the same people, macro-F1",
        Goal(at_most=0.65),
        "",
        AH,
        partial(ah_chain, "strongest_prior"),
    ),
    Claim(
        "calibration error on the same people",
        Goal(at_most=0.05),
        "",
        AH,
        partial(ah_chain, "calibration_error"),
    ),
)


def measure_all(claims: tuple[Claim, ...] = CLAIMS) -> bool:
    """Measure and print every claim as it comes; return whether all reached their goals."""
    reached_all = True
    for claim in claims:
        try:
            value = claim.measure()
        except (subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
            reached_all = False
            line = f"not measured ({type(error).__name__}: {error})"
            _say(False, claim.name, line, claim)
            continue
        reached = claim.goal.reached(value)
        reached_all &= reached
        _say(reached, claim.name, show(value, claim.unit), claim)
    return reached_all


def _say(reached: bool, name: str, figure: str, claim: Claim) -> None:
    mark = "ok  " if reached else "MISS"
    line = f"{mark}  {name}: {figure}   goal: {claim.goal.text(claim.unit)}   {claim.command}\n"
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> int:
    """Run as `python -m eval.figures`; the exit status is 1 where a claim falls short."""
    parser = argparse.ArgumentParser(description="Measure every claim again.")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only claims whose name holds these words"
    )
    words = parser.parse_args().only
    claims = tuple(claim for claim in CLAIMS if words in claim.name)
    if not claims:
        sys.stderr.write(f"No claim has {words!r} in its name.\n")
        return 1
    return 0 if measure_all(claims) else 1


if __name__ == "__main__":
    sys.exit(main())

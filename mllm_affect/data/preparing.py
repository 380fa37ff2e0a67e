"""Preparing a corpus: every video decoded once into a clip cache, whatever happens on the way.

Does: skip what is prepared already, decode the rest on several processes, give every file a
verdict, write prepared.jsonl, verdicts.jsonl and prepare.json.  Does not: find videos (see
corpus), decode (see prepare_one), or print.
"""

import fcntl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from mllm_affect.data.corpus import Corpus
from mllm_affect.data.prepare_one import FOR_THE_RUN, Job, Outcome, prepare_one
from mllm_affect.data.workers import Died, run_each
from mllm_affect.errors import UserError
from mllm_affect.files import write_json, write_jsonl
from mllm_affect.interrupting import termination_interrupts
from mllm_affect.media.cache import ClipCache, cached_segments
from mllm_affect.media.cache.content_hash import RememberedHashes
from mllm_affect.media.cache.entry import entry_key, policy
from mllm_affect.media.cutting import MAX_SECONDS, bound_ticks
from mllm_affect.media.sampling.picture_size import model_size
from mllm_affect.media.types import Sampling, Segment
from mllm_affect.media.warnings import Warnings, joined

PREPARED, VERDICTS, MANIFEST, RUNNING = (
    "prepared.jsonl", "verdicts.jsonl", "prepare.json", ".running",
)  # fmt: skip
A_MOMENT_NS = 1_000_000_000
"""Clocks of files lag by some milliseconds; what was used so shortly before counts as used now."""


@dataclass(frozen=True)
class Policy:
    """How every video is prepared."""

    sampling: Sampling = field(default_factory=Sampling)
    max_seconds: float = MAX_SECONDS
    image_fps: float | None = None

    def check(self) -> None:
        """Raise UserError `bad_sampling` or `bad_max_seconds` where nothing could be prepared."""
        if not 0.1 <= self.sampling.fps <= 1000:
            raise UserError("bad_sampling", f"fps is {self.sampling.fps}; give 0.1 to 1000.")
        model_size(640, 480, self.sampling.max_pixels)
        bound_ticks(self.max_seconds, Fraction(1, 90_000))


@dataclass(frozen=True)
class Verdict:
    """What became of one file.

    `duration_s` is the length of its segments together; `seconds` the time spent on it now;
    `cached`: it was prepared before; `same_as`: the file whose content it shares; `warnings`: what
    was dropped, repaired or converted when it was read.
    """

    video: str
    ok: bool
    code: str | None = None
    sentence: str | None = None
    segments: int = 0
    duration_s: float = 0.0
    seconds: float = 0.0
    cached: bool = False
    same_as: str | None = None
    warnings: Warnings = ()


OnVerdict = Callable[[Verdict, int, int], None]
"""Called with each verdict as it falls, how many there are and how many there will be."""


@dataclass(frozen=True)
class Prepared:
    """The end of a run; verdicts stand in the order of the corpus."""

    verdicts: tuple[Verdict, ...]
    left_out: dict[str, int]
    cache_bytes: int

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The files that cannot be used."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)

    def counts(self) -> dict[str, Any]:
        """Return how many of what, refusals by code."""
        return {
            "videos": len(self.verdicts),
            "usable": len(self.verdicts) - len(self.refused),
            "refused": len(self.refused),
            "refused_by_code": dict(sorted(Counter(str(v.code) for v in self.refused).items())),
            "cached": sum(verdict.cached for verdict in self.verdicts),
            "same_content": sum(verdict.same_as is not None for verdict in self.verdicts),
            "segments": sum(verdict.segments for verdict in self.verdicts),
            "warnings_by_code": dict(sorted(self._warnings_by_code().items())),
            "left_out": self.left_out,
            "cache_bytes": self.cache_bytes,
        }

    def _warnings_by_code(self) -> Counter[str]:
        """Count the videos with each kind of warning."""
        return Counter(code for v in self.verdicts for code in {one.code for one in v.warnings})


def prepare(
    corpus: Corpus,
    out: Path,
    wanted: Policy,
    workers: int,
    max_bytes: int | None = None,
    trusted: bool = False,
    on_verdict: OnVerdict = lambda _verdict, _done, _total: None,
) -> Prepared:
    """Prepare every video of a corpus into the clip cache in `out`.

    `max_bytes` bounds the cache; None leaves the bound that it has, or none.  Of earlier runs the
    oldest entries make room, of this run none does.  `trusted` videos are decoded in the workers,
    others each in a process of its own.

    A run that was stopped, in whatever way, goes on where it ended; what is written does not
    depend on how often it was stopped or how many workers it had.  Raises UserError `out_busy`,
    `bad_cache`, `bad_sampling`, `bad_max_seconds`, `cache_not_written`, `cache_full`.
    """
    wanted.check()
    cache = ClipCache.open(out, max_bytes=None)
    with _alone(cache), termination_interrupts():
        if max_bytes is not None:
            cache = cache.bounded(max_bytes)
        cache = replace(cache, keep_since_ns=time.time_ns() - A_MOMENT_NS)
        run = _Run(corpus, cache, wanted, trusted, on_verdict)
        cache.sweep()
        try:
            run.go(workers)
        finally:
            cache.sweep()
        with cache.writing():
            return run.write()


@contextmanager
def _alone(cache: ClipCache) -> Iterator[None]:
    """Hold the folder; the lock goes with the process, however that ends."""
    with cache.writing():
        lock = (cache.folder / RUNNING).open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "out_busy",
                f"Another run is preparing into {cache.folder}; wait for it, or name another.",
            ) from error
        yield


class _Run:
    """One run over a corpus."""

    def __init__(
        self,
        corpus: Corpus,
        cache: ClipCache,
        wanted: Policy,
        trusted: bool,
        on_verdict: OnVerdict,
    ) -> None:
        self._corpus, self._cache, self._wanted = corpus, cache, wanted
        self._trusted = trusted
        self._on_verdict = on_verdict
        self._hashes = RememberedHashes(cache.folder)
        self._verdicts: dict[str, Verdict] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._first: dict[str, str] = {}
        """The video that was or is being decoded, by content."""
        self._twins: dict[str, list[str]] = {}
        """Videos that wait for the one with the same content."""

    def go(self, workers: int) -> None:
        """Give every video a verdict."""
        jobs: deque[Job] = deque()
        for video in self._corpus.videos:
            sha256 = self._hashes.get(self._corpus.path(video), self._wanted.image_fps)
            if sha256 is None:
                jobs.append(Job(video, self._corpus.path(video)))
            else:
                self._decode_once(Job(video, self._corpus.path(video), sha256), jobs)
        work = partial(
            prepare_one, sampling=self._wanted.sampling, max_seconds=self._wanted.max_seconds,
            image_fps=self._wanted.image_fps, cache=self._cache, trusted=self._trusted,
        )  # fmt: skip
        with closing(run_each(jobs, work, min(workers, max(1, len(jobs))))) as outcomes:
            for job, outcome in outcomes:
                self._take(job, outcome, jobs)

    def write(self) -> Prepared:
        """Write the lists, the manifest last."""
        out, videos = self._cache.folder, self._corpus.videos
        verdicts = tuple(self._verdicts[video] for video in videos)
        done = Prepared(verdicts, dict(self._corpus.left_out), self._cache.total_bytes())
        write_jsonl(out / VERDICTS, (asdict(verdict) for verdict in verdicts))
        write_jsonl(out / PREPARED, (self._rows[v] for v in videos if v in self._rows))
        wanted = policy(self._wanted.sampling, self._wanted.max_seconds)
        write_json(out / MANIFEST, {"counts": done.counts(), "policy": wanted})
        return done

    def _take(self, job: Job, outcome: Outcome | Died, jobs: deque[Job]) -> None:
        if isinstance(outcome, Died):
            self._refuse(job, "worker_died", _died_sentence(job, outcome), 0.0)
        elif outcome.code in FOR_THE_RUN:
            raise UserError(str(outcome.code), str(outcome.sentence))
        elif outcome.code is not None:
            self._refuse(job, outcome.code, outcome.sentence or "", outcome.seconds)
        elif outcome.hashed is not None:
            with self._cache.writing():
                self._hashes.add(outcome.hashed)
            self._decode_once(replace(job, sha256=outcome.hashed.sha256), jobs)
        elif job.sha256 is not None:
            self._accept(job.video, job.sha256, outcome.segments, outcome.seconds)
            for twin in self._twins.pop(job.sha256, []):
                self._accept(twin, job.sha256, outcome.segments, 0.0, same_as=job.video)

    def _decode_once(self, job: Job, jobs: deque[Job]) -> None:
        """Settle a video whose content is known: prepared already, being decoded, or to decode."""
        assert job.sha256 is not None
        first = self._first.get(job.sha256)
        if first is not None and first not in self._verdicts:
            self._twins.setdefault(job.sha256, []).append(job.video)
            return
        segments = cached_segments(
            job.sha256, self._wanted.sampling, self._wanted.max_seconds, self._cache
        )
        if segments is not None:
            cached = first is None or self._verdicts[first].cached
            self._accept(job.video, job.sha256, segments, 0.0, cached=cached, same_as=first)
        elif first is not None and not self._verdicts[first].ok:
            self._refuse_twin(job.video, self._verdicts[first])
        else:
            jobs.appendleft(job)
        self._first.setdefault(job.sha256, job.video)

    def _accept(
        self,
        video: str,
        sha256: str,
        segments: Sequence[Segment],
        seconds: float,
        *,
        cached: bool = False,
        same_as: str | None = None,
    ) -> None:
        key = entry_key(sha256, self._wanted.sampling, self._wanted.max_seconds)
        self._rows[video] = {
            "video": video,
            "sha256": sha256,
            "entry": key,
            "segments": [_without_source(segment) for segment in segments],
        }
        length_s = sum(segment.duration_s for segment in segments)
        warnings = joined(*(segment.warnings for segment in segments))
        self._settle(Verdict(video, True, None, None, len(segments), round(length_s, 3),
                             round(seconds, 3), cached, same_as, warnings))  # fmt: skip

    def _refuse(self, job: Job, code: str, sentence: str, seconds: float) -> None:
        refusal = Verdict(job.video, False, code, sentence, seconds=round(seconds, 3))
        self._settle(refusal)
        for twin in self._twins.pop(job.sha256 or "", []):
            self._refuse_twin(twin, refusal)

    def _refuse_twin(self, video: str, first: Verdict) -> None:
        sentence = f"It has the content of {first.video}: {first.sentence}"
        self._settle(Verdict(video, False, first.code, sentence, same_as=first.video))

    def _settle(self, verdict: Verdict) -> None:
        self._verdicts[verdict.video] = verdict
        self._on_verdict(verdict, len(self._verdicts), len(self._corpus.videos))


def _without_source(segment: Segment) -> dict[str, Any]:
    return {name: value for name, value in asdict(segment).items() if name != "source_sha256"}


def _died_sentence(job: Job, died: Died) -> str:
    name = job.path.name
    how = f"signal {-died.status}" if died.status < 0 else f"status {died.status}"
    return (
        f"The process that read {name} ended by {how}; prepare again, with fewer --workers if "
        "memory was short."
    )

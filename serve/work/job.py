"""One analysis, from its lease to its end.

Does: run the pipeline on the stored video, store every segment as it is answered, go on where an
earlier worker stopped, say how it ended.  Does not: take leases or prolong them.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mllm_affect.engine.bounds import BoundedEngine, Bounds
from mllm_affect.errors import EngineError, UserError
from mllm_affect.expressions.answering import answer_video
from mllm_affect.media.cache import ClipCache
from mllm_affect.scoring.answers import SegmentAnswer
from mllm_affect.stopping import Stop, StoppedError
from mllm_affect.tracing import span
from serve.problems import WITHHELD
from serve.state import ServiceState
from serve.store.queue import NOT_ANSWERED, Lease, LeaseLostError
from serve.store.storage_errors import (
    FAULTS,
    DatabaseAwayError,
    StorageAwayError,
    StorageFullError,
)
from serve.store.videos import StoredVideo

log = logging.getLogger("mllm_affect.work")

ENGINE_WAIT_S = 1.0
"""An analysis whose engine is away waits so long before it is tried again."""


AGAIN_S = 0.5
"""So long a write waits for the store before it is tried again."""

CACHE_CODES = ("bad_cache", "cache_full", "cache_not_written")
LACKED_ERRNOS = {
    errno.ENOMEM: "out_of_memory",
    errno.EAGAIN: "out_of_processes",
    errno.EMFILE: "out_of_descriptors",
    errno.ENFILE: "out_of_descriptors",
    errno.ENOSPC: "storage_full",
    errno.EDQUOT: "storage_full",
}
LACKED = {
    "out_of_memory": "memory",
    "out_of_processes": "processes or threads",
    "out_of_descriptors": "file descriptors",
    "storage_full": "disk space",
}


@dataclass(frozen=True)
class Job:
    """What is needed to work on one analysis.

    `stop` is set when its lease is lost, and when the worker ends, which sets `stopping` before.
    """

    state: ServiceState
    lease: Lease
    stop: Stop
    stopping: threading.Event

    def run(self) -> None:
        """Work until the analysis has ended, was put back or is no longer ours."""
        begun, outcome = time.perf_counter(), "fault"
        try:
            lease = self.lease
            with span(
                "analysis", analysis_id=lease.analysis_id, queued_s=lease.queued_s
            ) as current:
                outcome = self._run()
                current.set("outcome", outcome)
        finally:
            self.state.meters.finished.labels(outcome).observe(time.perf_counter() - begun)

    def _run(self) -> str:
        try:
            return self._ended()
        except LeaseLostError:
            return "lost"
        except FAULTS:  # not even putting it back could be written down: its lease runs out
            return "waits"

    def _ended(self) -> str:
        """Work, and write down how it ended; returns that."""
        queue = self.state.store.queue
        try:
            self._answer()
        except StoppedError:
            queue.put_back(self.lease, 0.0)
            return "put_back"
        except EngineError as error:
            return self._wait_again(error.code, "engine_failed", NOT_ANSWERED)
        except UserError as error:
            code, detail = error.code, WITHHELD.get(error.code, error.sentence)
            self._persist(lambda: queue.fail(self.lease, code, detail))
            return "failed"
        except LeaseLostError:
            raise
        except (DatabaseAwayError, StorageAwayError) as error:
            return self._put_back(type(error).__name__)
        except Exception as error:
            lacking = _lacking(error)
            if lacking is not None:
                return self._wait_again(type(error).__name__, *lacking)
            log.exception("analysis %s failed", self.lease.analysis_id)
            detail = "Something failed inside the service."
            self._persist(lambda: queue.fail(self.lease, "internal_error", detail))
            return "fault"
        return "succeeded"

    def _put_back(self, why: str) -> str:
        """Let it wait for the database or the data folder, for as long as they are away."""
        log.warning("analysis %s waits: %s", self.lease.analysis_id, why)
        self.state.meters.waits.inc()
        self._persist(lambda: self.state.store.queue.put_back(self.lease, ENGINE_WAIT_S))
        return "waits"

    def _wait_again(self, why: str, code: str, detail: str) -> str:
        """Let it wait: longer each time, and only so often without progress."""
        self.state.meters.waits.inc()
        waits: list[bool] = []
        self._persist(
            lambda: waits.append(
                self.state.store.queue.wait_again(self.lease, ENGINE_WAIT_S, code, detail)
            )
        )
        outcome = "waits" if waits[-1] else "failed"
        log.warning("analysis %s %s: %s", self.lease.analysis_id, outcome, why)
        return outcome

    def _persist(self, write: Callable[[], None]) -> None:
        """Write to the store, again and again while it is away, for as long as a lease lasts.

        Raises what is in FAULTS after that, or when the worker ends.
        """
        deadline = time.monotonic() + self.state.settings.lease_s
        while True:
            try:
                write()
                return
            except FAULTS:
                if time.monotonic() > deadline or self.stopping.wait(AGAIN_S):
                    raise

    def _answer(self) -> None:
        state, lease = self.state, self.lease
        video = state.store.videos.get(lease.owner, lease.video_id)
        if video is None:
            raise UserError("unknown_video", "The video was erased before it was analysed.")
        if not video.source.path.is_file():
            if not state.store.media.is_there():
                raise StorageAwayError  # as network storage that is not mounted
            raise UserError("unknown_video", "The video's file is gone; upload it again.")
        try:
            cache = self._cache(video)
            try:
                self._answer_about(video, cache)
            except UserError as error:
                if cache is None or error.code not in CACHE_CODES:
                    raise
                self._answer_about(video, None)  # keeping clips only saves time
        except (LeaseLostError, StoppedError) as error:
            if isinstance(error, StoppedError) and self.stopping.is_set():
                raise
            # Clips that were kept after the video was erased go as well.
            state.store.videos.remove_unowned(video.source.sha256)
            raise LeaseLostError from error

    def _cache(self, video: StoredVideo) -> ClipCache | None:
        bound = self.state.settings.clip_cache_bytes
        if not bound:
            return None
        try:
            return ClipCache.open(self.state.store.media.clips(video.source.sha256), bound)
        except UserError as error:
            if error.code not in CACHE_CODES:
                raise
            return None

    def _answer_about(self, video: StoredVideo, cache: ClipCache | None) -> None:
        state, lease = self.state, self.lease
        known = {part.index: part for part in state.store.results.all(lease.analysis_id)}
        done = len(known)

        def store(answer: SegmentAnswer) -> None:
            nonlocal done
            self.stop.check()
            done += 1
            self._persist(lambda: state.store.queue.add(lease, answer, done))
            state.meters.segments.inc()

        answer = answer_video(
            video.source,
            lease.task,
            BoundedEngine(state.engine, Bounds(self.stop, state.settings.question_s)),
            state.profile,
            context=lease.context,
            scorings=state.scorings,
            force=state.force,
            limits=state.settings.limits,
            cache=cache,
            on_segment=store,
            known=known,
            in_flight=state.settings.in_flight,
            stop=self.stop,
        )
        verdict, count = answer.verdict(), len(answer.segments)
        self._persist(lambda: state.store.queue.succeed(lease, verdict, count))


def _lacking(error: BaseException) -> tuple[str, str] | None:
    """Return code and sentence for an error that says what the machine lacks, None for others."""
    code = None
    if isinstance(error, MemoryError):
        code = "out_of_memory"
    elif isinstance(error, StorageFullError):
        code = "storage_full"
    elif isinstance(error, OSError) and error.errno is not None:
        code = LACKED_ERRNOS.get(error.errno)
    if code is None:
        return None
    sentence = f"The service ran out of {LACKED[code]} each time it tried this; try again later."
    return code, sentence

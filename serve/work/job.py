"""One analysis, from its lease to its end.

Does: run the pipeline on the stored video, store every segment as it is answered, go on where an
earlier worker stopped, say how it ended.  Does not: take leases or prolong them.
"""

import logging
import threading
import time
from dataclasses import dataclass

from mllm_affect.errors import EngineError, UserError
from mllm_affect.expressions.answering import answer_video
from mllm_affect.media.cache import ClipCache
from mllm_affect.scoring.answers import SegmentAnswer
from serve.problems import WITHHELD
from serve.state import ServiceState
from serve.store.queue import Lease, LeaseLostError

log = logging.getLogger("mllm_affect.work")

ENGINE_WAIT_S = 1.0
"""An analysis whose engine is away waits so long before it is tried again."""


class StoppingError(Exception):
    """The worker is ending; the analysis goes back."""


@dataclass(frozen=True)
class Job:
    """What is needed to work on one analysis; `lost` and `stopping` end it between segments."""

    state: ServiceState
    lease: Lease
    lost: threading.Event
    stopping: threading.Event

    def run(self) -> None:
        """Work until the analysis has ended, was put back or is no longer ours."""
        begun, outcome = time.perf_counter(), "fault"
        try:
            outcome = self._run()
        finally:
            self.state.meters.finished.labels(outcome).observe(time.perf_counter() - begun)

    def _run(self) -> str:
        queue = self.state.store.queue
        try:
            try:
                self._answer()
            except StoppingError:
                queue.put_back(self.lease, 0.0)
                return "put_back"
            except EngineError as error:
                log.warning("analysis %s waits: %s", self.lease.analysis_id, error.code)
                self.state.meters.waits.inc()
                queue.put_back(self.lease, ENGINE_WAIT_S)
                return "waits"
            except UserError as error:
                queue.fail(self.lease, error.code, WITHHELD.get(error.code, error.sentence))
                return "failed"
            except LeaseLostError:
                raise
            except Exception:
                log.exception("analysis %s failed", self.lease.analysis_id)
                queue.fail(self.lease, "internal_error", "Something failed inside the service.")
                return "fault"
        except LeaseLostError:
            return "lost"
        return "succeeded"

    def _answer(self) -> None:
        state, lease = self.state, self.lease
        video = state.store.videos.get(lease.owner, lease.video_id)
        if video is None or not video.source.path.is_file():
            raise UserError("unknown_video", "The video was erased before it was analysed.")
        bound = state.settings.clip_cache_bytes
        clips = state.store.media.clips(video.source.sha256)
        cache = ClipCache.open(clips, bound) if bound else None
        known = {part.index: part for part in state.store.results.all(lease.analysis_id)}
        done = len(known)

        def store(answer: SegmentAnswer) -> None:
            nonlocal done
            if self.lost.is_set():
                raise LeaseLostError
            done += 1
            state.store.queue.add(lease, answer, done)
            state.meters.segments.inc()
            if self.stopping.is_set():
                raise StoppingError

        answer = answer_video(
            video.source,
            lease.task,
            state.engine,
            state.profile,
            context=lease.context,
            scorings=state.scorings,
            force=state.force,
            limits=state.settings.limits,
            cache=cache,
            on_segment=store,
            known=known,
            in_flight=state.settings.in_flight,
        )
        state.store.queue.succeed(lease, answer.verdict(), len(answer.segments))

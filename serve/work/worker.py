"""The worker: threads that take analyses and work on them, in the service's process or alone.

Does: start and end the threads, wake them when there is work, keep house between times.
Does not: answer (see job) or serve requests.
"""

import logging
import threading
import time

from mllm_affect.temporary import sweep_temporary
from serve.settings import TEMPORARY_DATA
from serve.state import ServiceState
from serve.store.storage_errors import FAULTS
from serve.work.heartbeats import Heartbeats
from serve.work.job import Job

log = logging.getLogger("mllm_affect.work")

LOOK_SECONDS = 0.5
HOUSEKEEPING_SECONDS = 60.0


class Worker:
    """Works on the analyses of a store that are meant for its engine's model."""

    def __init__(self, state: ServiceState) -> None:
        self._state, self._settings = state, state.settings
        self._beats = Heartbeats(state.store.queue, state.engine.model_id, state.settings.lease_s)
        self._stopping, self._work = threading.Event(), threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(state.settings.jobs_at_once)
        ]
        self._house = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start working."""
        self._beats.start()
        for thread in [*self._threads, self._house]:
            thread.start()

    def wake(self) -> None:
        """Look for work at once."""
        self._work.release()

    def stop(self, seconds: float = 8.0) -> bool:
        """Take nothing more; wait until what is worked on was put back, for so long together.

        Returns whether every thread has ended; leases of those that have not run out by themselves.
        """
        deadline = time.monotonic() + seconds
        self._stopping.set()
        self._beats.stop_work()
        for _ in self._threads:
            self._work.release()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._beats.stop()
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._state.engine.is_ready() or not self.work_once():
                    self._work.acquire(timeout=LOOK_SECONDS)
            except FAULTS:  # the store logs when that begins and ends
                self._stopping.wait(LOOK_SECONDS)
            except Exception:  # this thread is needed for the next analysis all the same
                log.exception("a worker's thread failed outside of an analysis")
                self._stopping.wait(LOOK_SECONDS)

    def work_once(self) -> bool:
        """Work on one analysis; return whether there was one."""
        queue = self._state.store.queue
        lease = queue.take(self._state.engine.model_id, self._settings.lease_s)
        if lease is None:
            return False
        with self._beats.holding(lease) as stop:
            if self._stopping.is_set():
                stop.set()
            Job(self._state, lease, stop, self._stopping).run()
        return True

    def _keep_house(self) -> None:
        while True:
            try:
                keep_house(self._state)
            except FAULTS:
                pass  # the store logs when that begins and ends
            except Exception:
                log.exception("housekeeping failed; it is tried again")
            if self._stopping.wait(HOUSEKEEPING_SECONDS):
                return


def keep_house(state: ServiceState) -> None:
    """Forget what was kept for long enough, and remove what killed processes left."""
    settings, store = state.settings, state.store
    store.queue.release_silent()
    store.analyses.end_unserved(settings.keep_media_s)
    store.freeing(lambda: store.videos.expire(settings.keep_media_s))
    store.freeing(lambda: store.analyses.expire(settings.keep_results_s))
    store.freeing(store.videos.sweep)
    store.media.trim_clips(settings.clip_cache_bytes)
    store.database.overwrite_freed()
    store.media.room.keep_reserve()
    sweep_temporary(TEMPORARY_DATA)

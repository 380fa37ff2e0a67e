"""Showing that this process works on the analyses whose leases it holds.

Does: beat for all of them from one thread, tell each job when its lease is lost, look whether other
workers beat.  Does not: take or finish analyses.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mllm_affect.stopping import Stop
from serve.store.queue import Lease, Queue
from serve.store.storage_errors import FAULTS

BEATS_A_LEASE = 4
LONGEST_BEAT_S = 1.5
"""An analysis that was cancelled is given up by its worker within so long."""


class Heartbeats:
    """One thread that beats for every held lease; start it with `start`, end it with `stop`."""

    def __init__(self, queue: Queue, model: str, lease_s: float) -> None:
        self._queue, self._model, self._lease_s = queue, model, lease_s
        self._held: dict[str, tuple[Lease, Stop]] = {}
        self._lock, self._done = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; leases that are still held run out."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[Stop]:
        """Beat for a lease while the block runs; its work is stopped when the lease is lost."""
        stop = Stop()
        with self._lock:
            self._held[lease.id] = (lease, stop)
        try:
            yield stop
        finally:
            with self._lock:
                del self._held[lease.id]

    def stop_work(self) -> None:
        """Stop the work under every lease that is held."""
        with self._lock:
            held = list(self._held.values())
        for _, stop in held:
            stop.set()

    def _run(self) -> None:
        while not self._done.wait(min(LONGEST_BEAT_S, self._lease_s / BEATS_A_LEASE)):
            with self._lock:
                held = list(self._held.values())
            for lease, stop in held:
                try:
                    if not self._queue.beat(lease):
                        stop.set()
                except FAULTS:
                    continue  # nobody else can take it over meanwhile
            with suppress(*FAULTS):
                self._queue.look(self._model)

"""Showing that this process works on the analyses whose leases it holds.

Does: beat for all of them from one thread, tell each job when its lease is lost, look whether other
workers beat.  Does not: take or finish analyses.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from serve.store.faults import FAULTS
from serve.store.queue import Lease, Queue

BEATS_A_LEASE = 4


class Heartbeats:
    """One thread that beats for every held lease; start it with `start`, end it with `stop`."""

    def __init__(self, queue: Queue, model: str, lease_s: float) -> None:
        self._queue, self._model, self._lease_s = queue, model, lease_s
        self._held: dict[str, tuple[Lease, threading.Event]] = {}
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
    def holding(self, lease: Lease) -> Iterator[threading.Event]:
        """Beat for a lease while the block runs; the event is set when the lease is lost."""
        lost = threading.Event()
        with self._lock:
            self._held[lease.id] = (lease, lost)
        try:
            yield lost
        finally:
            with self._lock:
                del self._held[lease.id]

    def _run(self) -> None:
        while not self._done.wait(self._lease_s / BEATS_A_LEASE):
            with self._lock:
                held = list(self._held.values())
            for lease, lost in held:
                try:
                    if not self._queue.beat(lease):
                        lost.set()
                except FAULTS:
                    continue  # nobody else can take it over meanwhile
            with suppress(*FAULTS):
                self._queue.look(self._model)

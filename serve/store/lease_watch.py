"""Which leases have expired: how long their workers sent no heartbeat, as this process saw it.

Does: compare the beats of all leases from look to look, on this process's own steady clock.
Does not: trust any time of day: clocks are set back and forth, and differ between hosts.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

MOST_BETWEEN_LOOKS_S = 5.0
"""Longer gaps count as this much: nobody looked, and after an outage of the database nobody could
beat either."""


@dataclass(frozen=True)
class Heartbeat:
    """What a look finds of one lease: how often its worker beat, how long it may be silent."""

    lease: str
    beats: int
    lease_s: float


@dataclass
class _Seen:
    beats: int
    silent_s: float = 0.0


class LeaseWatch:
    """What this process has seen of the leases of one model."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._looked_s = time.monotonic()
        self._lock = threading.Lock()

    def look(self, found: Iterable[Heartbeat]) -> list[Heartbeat]:
        """Note the leases that there are now; return those that were silent for too long."""
        with self._lock:
            now = time.monotonic()
            passed = min(now - self._looked_s, MOST_BETWEEN_LOOKS_S)
            self._looked_s = now
            before, self._seen = self._seen, {}
            silent = []
            for one in found:
                seen = before.get(one.lease)
                if seen is None or seen.beats != one.beats:
                    seen = _Seen(one.beats)
                else:
                    seen.silent_s += passed
                self._seen[one.lease] = seen
                if seen.silent_s > one.lease_s:
                    silent.append(one)
            return silent

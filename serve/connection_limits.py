"""How many connections there may be, and how long they may take.

Does: hold the bounds, and fit them to what the process may open.  Does not: enforce them (see
connections).
"""

import resource
from contextlib import suppress
from dataclasses import dataclass, replace

WANTED_DESCRIPTORS = 4_096


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds on connections; all times in seconds.

    `header_s`: from the connection, or the last answer, to the end of a request's headers.
    `idle_s`: after an answer, until something of the next request comes.  `body_s`: in so long a
    body must bring `body_bytes`, while we read.  `rest_s`: for what a client still sends after its
    answer.  `answer_s`: in so long a client must take what waits to be sent.
    `without_key`: connections that have sent no request that was let in.  `most`: all of them.
    """

    header_bytes: int = 64 << 10
    header_s: float = 10.0
    idle_s: float = 5.0
    body_s: float = 20.0
    body_bytes: int = 10 << 10
    rest_s: float = 5.0
    answer_s: float = 60.0
    without_key: int = 256
    most: int = 640

    def within(self, descriptors: int) -> "ConnectionLimits":
        """Return these limits, or smaller ones where a process may open few files."""
        share = min(1.0, descriptors / (2 * self.most))
        return replace(
            self,
            without_key=max(1, int(self.without_key * share)),
            most=max(2, int(self.most * share)),
        )


def raise_descriptors() -> int:
    """Let this process open more files, where it may; return how many it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unbounded = resource.RLIM_INFINITY
    wanted = WANTED_DESCRIPTORS if hard == unbounded else min(WANTED_DESCRIPTORS, hard)
    if soft != unbounded and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return WANTED_DESCRIPTORS if soft == unbounded else soft

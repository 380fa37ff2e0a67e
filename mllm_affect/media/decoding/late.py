"""When the last of several groups of pictures begins, where no other would be left beside it.

Does: count what the others have left.  Does not: decode.
"""

from collections.abc import Sequence
from threading import Event, Lock

from mllm_affect.media.decoding.planned import Decodes, Plan


class Late:
    """The last group, its decoder, and when it begins: so that it ends together with the others.

    Were it to wait until a decoder is free, it would be decoded alone, by one or by several that
    wait for each other; from the beginning on it would hold up those that are taken before it.
    """

    def __init__(self, busy: Sequence[Plan], at_once: int, decoder: Decodes) -> None:
        *others, self.group = busy
        self.decoder = decoder
        self._too_many = sum(map(reach, others)) - at_once * reach(self.group)
        self._lock, self._begins = Lock(), Event()
        self.passed(0)

    def passed(self, packets: int) -> None:
        """Take that the others have so many packets less to decode."""
        with self._lock:
            self._too_many -= packets
            if self._too_many <= 0:
                self._begins.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it begins; return whether it has."""
        return self._begins.wait(seconds)

    def end(self) -> None:
        """Let nobody wait any more."""
        self._begins.set()


def reach(group: Plan) -> int:
    """Return how many packets there are up to the last that is to be decoded."""
    return len(group.send.rstrip(b"\0"))

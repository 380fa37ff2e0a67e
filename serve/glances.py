"""How analyses are getting on, for many clients that keep asking.

Does: read each analysis at most every tenth of a second, whoever asks, and keep what was read as
the bytes that are sent.  Does not: show anything that this process has changed meanwhile.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

FRESH_S = 0.1
MOST = 4_096


class Glances:
    """What was read last, by owner and analysis."""

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[str, str], tuple[float, asyncio.Future[bytes]]]
        self._read = OrderedDict()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="glance")

    async def of(self, owner: str, analysis_id: str, read: Callable[[], bytes]) -> bytes:
        """Return what `read` returned a moment ago, or lets it read; raises what it raises."""
        loop = asyncio.get_running_loop()
        key, now = (owner, analysis_id), loop.time()
        known = self._read.get(key)
        if known is not None and now < known[0] and known[1].get_loop() is loop:
            return await asyncio.shield(known[1])
        reading = loop.run_in_executor(self._pool, read)
        self._read[key] = (now + FRESH_S, reading)
        self._read.move_to_end(key)
        while len(self._read) > MOST:
            self._read.popitem(last=False)
        return await asyncio.shield(reading)

    def forget(self) -> None:
        """Read everything anew: something was changed."""
        self._read.clear()

"""Ending like Ctrl-C when told to terminate.

Does: let SIGTERM unwind the main thread, so that what `finally` and `with` promise is kept.
Does not: end child processes (see engine.server_process) or handle SIGKILL, which nothing can.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM in here; outside of the main thread change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""Telling work that runs in other threads to end, also where it waits for something.

Does: carry one signal from whoever stops the work to every place that does it.
Does not: end threads; the work ends itself when it looks, or when what it waits for is cut.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StoppedError(Exception):
    """The work was told to end; nothing is wrong with what it was about."""


class Stop:
    """One signal for one piece of work; may be used from several threads."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._actions: dict[int, Callable[[], None]] = {}

    @property
    def is_set(self) -> bool:
        """Whether the work shall end."""
        return self._event.is_set()

    def set(self) -> None:
        """Tell the work to end; what it waits for now is cut in this thread."""
        with self._lock:
            self._event.set()
            actions = list(self._actions.values())
        for action in actions:
            action()

    def check(self) -> None:
        """Raise StoppedError if the work shall end."""
        if self._event.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Wait for so long; raises StoppedError as soon as the work shall end."""
        if self._event.wait(seconds):
            raise StoppedError

    @contextmanager
    def calling(self, action: Callable[[], None]) -> Iterator[None]:
        """Have `action` called if the work is stopped while the block runs, or was before.

        It cuts what the block waits for: it must be quick, raise nothing, and bear to be called
        from another thread and after the block has ended.
        """
        number = next(self._numbers)
        with self._lock:
            self._actions[number] = action
        try:
            if self.is_set:
                action()
            yield
        finally:
            with self._lock:
                del self._actions[number]

"""Decoding ahead of whoever takes the frames: what is made of one frame waits for no other.

Does: run an iterator in a thread of its own, a few items ahead.  Does not: know what it yields, or
keep more.  Decoders leave Python while they work, so that the next frames are decoded while those
at hand are scaled and sound is read.
"""

from collections import deque
from collections.abc import Generator, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], count: int) -> Generator[T]:
    """Yield the items of an iterator that works at most `count` items ahead.

    What it raises is raised here, after the items before it.  Close this generator before anything
    that the iterator uses: then the thread has ended, at the next item at the latest.
    """
    worker = _Worker(items, count)
    worker.start()
    try:
        yield from worker.results()
    finally:
        worker.stop()


class _Worker(Thread, Generic[T]):
    """Takes items while there is room for them."""

    def __init__(self, items: Iterator[T], count: int) -> None:
        # Whoever leaves without closing must not wait for it when the program ends.
        super().__init__(name="decoding ahead", daemon=True)
        self._items, self._count = items, count
        self._made: deque[T] = deque()
        self._changed = Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Take every item, unless stopped."""
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or len(self._made) < self._count)
                    if self._stopped:
                        return
                    self._made.append(item)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def results(self) -> Iterator[T]:
        """Yield the items as they come; raise what the iterator raised."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._made or self._ended)
                if not self._made:
                    break
                item = self._made.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread and wait for that."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self.join()

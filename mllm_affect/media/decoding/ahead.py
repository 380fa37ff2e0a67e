"""Decoding ahead of whoever takes the frames: what is made of one frame waits for no other.

Does: take an iterator's items in a thread of its own, a few ahead.  Does not: know what they are.
Decoders leave Python while they work, so that the next frames are decoded while those at hand are
scaled and sound is read.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREAD = "decoding-ahead"


def ahead(items: Iterator[T], count: int) -> Generator[T]:
    """Yield the items of an iterator that works `count` items ahead, at least one.

    What it raises is raised here, after the items before it.  Close this generator before anything
    that the iterator uses: then the thread has ended, with the item that it is at.
    """
    end = object()
    pool = ThreadPoolExecutor(1, THREAD)
    try:
        coming = deque(pool.submit(next, items, end) for _ in range(count))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)

"""Who makes which entry in this process, so that threads that want the same one wait for it.

Does: let the first one make it, and have the others wait a while.  Does not: know other processes
(they make it too, and the later one replaces the earlier), or entries.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class _Maker:
    thread: int = field(default_factory=threading.get_ident)
    done: threading.Event = field(default_factory=threading.Event)


_makers: dict[Path, _Maker] = {}
_lock = threading.Lock()


@contextmanager
def one_maker(path: Path, patience_s: float) -> Iterator[None]:
    """Enter as the maker of an entry, or once its maker in another thread has ended.

    Whoever waited in vain for so long goes on beside the maker, whose reader may be slow.
    """
    mine = _Maker()
    with _lock:
        first = _makers.setdefault(path, mine)
    try:
        if first is not mine and first.thread != mine.thread:
            first.done.wait(patience_s)
        yield
    finally:
        if first is mine:
            with _lock:
                del _makers[path]
            mine.done.set()

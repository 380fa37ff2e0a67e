"""Temporary folders that do not outlive a killed process for long.

Does: make a private folder that is gone when its block ends; remove those of the same kind whose
process was killed.  Does not: touch folders of other users or of living processes.

A process holds a lock on its folder, which the kernel releases however the process ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder in the system's temporary one, readable by its owner alone.

    Folders that killed processes left under this prefix are removed first.
    """
    sweep_temporary(prefix)
    path, lock = _locked(prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def sweep_temporary(prefix: str) -> int:
    """Remove the folders under a prefix that no process holds; return how many."""
    removed = 0
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            removed += _remove_left(path)
    return removed


def _locked(prefix: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix))
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)
        # Swept before it was locked: take another.


def _remove_left(path: Path) -> bool:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        shutil.rmtree(path)
        return True
    finally:
        os.close(lock)

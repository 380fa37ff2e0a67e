"""One training at a time in a folder.

Does: hold the folder; the lock goes with the process, however that ends.  Does not: wait.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mllm_affect.errors import UserError

NAME = ".running"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold `folder`, made if need be; one that is still empty afterwards is removed again.

    Raises UserError `out_busy` when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "out_busy", f"Another fine-tuning runs in {folder}; wait for it, or name another."
            ) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()

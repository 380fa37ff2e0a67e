"""The processor cores of this process, and how its threads share them.

Does: count the cores it is bound to, where the platform tells; make threads batch work.
Does not: bind (see data.workers).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def usable_cores() -> int:
    """Return the number of cores, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def batch_threads() -> Iterator[None]:
    """Make threads that this one starts within batch work, where the platform knows that.

    They get their full share of the cores, but when they wake, they push nobody aside.
    """
    try:
        before = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))

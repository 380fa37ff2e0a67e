"""How many processor cores this process may use.

Does: count those it is bound to, where the platform tells.  Does not: bind (see data.workers).
"""

import os


def usable_cores() -> int:
    """Return the number of cores, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

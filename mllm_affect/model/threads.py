"""How many threads PyTorch computes with, for a while.

Does: set the number and put back what it was.  Does not: choose it.  Small networks are several
times as fast on one, and figures that must come out alike need the same number everywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads within the block, process-wide."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

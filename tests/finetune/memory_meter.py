"""How many bytes of tensors are alive at most while something runs.

Does: watch every operation of torch and the storages that it makes and lets go.
Does not: see what operations use inside of themselves, or what an allocator wastes.
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):
    """Counts storages from their first sight to their end; `peak` is the most at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def add(self, tensors: Any) -> None:
        """Count tensors that are there already, such as weights."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())

    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Run the operation, then count what it made."""
        made = function(*arguments, **(options or {}))
        self.add(made)
        return made

    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._end, key, size)

    def _end(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size

"""Disk space of the data folder, of which some is reserved for erasing.

Does: refuse uploads that would need the reserve; keep a reserve file, which is deleted when erasing
finds no space: on a full disk the database has to write before it can free.
Does not: erase, or count what the database takes elsewhere.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from serve.store.storage_errors import StorageFullError

RESERVE = "reserve"
MOST_RESERVED = 16 << 20
SMALLEST_SHARE = 64
"""Of a small disk, one part in so many is held back."""


@dataclass(frozen=True)
class DiskReserve:
    """The reserve of one data folder."""

    folder: Path

    def refuse_when_full(self) -> None:
        """Raise StorageFullError where only the reserve is left."""
        if self._free_bytes() < self._reserve_bytes():
            raise StorageFullError

    def keep_reserve(self) -> None:
        """Write the reserve file where there is plenty of space."""
        path, size = self.folder / RESERVE, self._reserve_bytes()
        if path.exists() or self._free_bytes() < 4 * size:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)

    def release(self) -> bool:
        """Delete the reserve file; return whether there was one."""
        try:
            (self.folder / RESERVE).unlink()
        except FileNotFoundError:
            return False
        return True

    def _free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def _reserve_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return min(MOST_RESERVED, found.f_blocks * found.f_frsize // SMALLEST_SHARE)

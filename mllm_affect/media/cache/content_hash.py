"""Knowing the SHA-256 of a file's content without reading it again.

Does: hash files, remember hashes in a list beside a cache.  Does not: notice a change that leaves
device, inode, size, modification and change time as they were; that such a file has the content it
had is assumed.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.files import sha256_file

FILE_NAME = "hashes.jsonl"
SETTLED_NS = 2_000_000_000
"""A file changed this recently may change again within one tick of the file system's clock."""


@dataclass(frozen=True)
class HashedFile:
    """A file's hash; `identity` tells whether it is still that file, None when it was in flux."""

    sha256: str
    identity: tuple[int, ...] | None


def hash_file(path: Path) -> HashedFile:
    """Read a file through.  Raises OSError."""
    before = path.stat()
    digest = sha256_file(path)
    same = _identity(path.stat()) == _identity(before)
    settled = time.time_ns() - max(before.st_mtime_ns, before.st_ctime_ns) > SETTLED_NS
    return HashedFile(digest, _identity(before) if same and settled else None)


class RememberedHashes:
    """The hashes kept in a folder.  One process writes, any number may read.

    The list is only appended to; a line cut off by a crash is skipped.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._known: dict[tuple[int, ...], str] = {}
        with suppress(FileNotFoundError):
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError, KeyError):
                    row = json.loads(line)
                    self._known[tuple(map(int, row["identity"]))] = str(row["sha256"])

    def get(self, path: Path) -> str | None:
        """Return the hash of a file that was hashed before and has not changed, else None."""
        try:
            return self._known.get(_identity(path.stat()))
        except (OSError, ValueError):
            return None

    def add(self, hashed: HashedFile) -> None:
        """Remember a file.  Raises OSError."""
        if hashed.identity is None or hashed.identity in self._known:
            return
        self._known[hashed.identity] = hashed.sha256
        row = {"identity": hashed.identity, "sha256": hashed.sha256}
        with self._path.open("a", encoding="utf-8") as lines:
            # The newline comes first, to end a line that a crash cut off.
            lines.write("\n" + json.dumps(row))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)

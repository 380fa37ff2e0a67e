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

from mllm_affect.files import sha256_file, sha256_json
from mllm_affect.media.images.folder import is_images, video_file
from mllm_affect.media.images.naming import images_in

FILE_NAME = "hashes.jsonl"
SETTLED_NS = 2_000_000_000
"""A file changed this recently may change again within one tick of the file system's clock."""


@dataclass(frozen=True)
class HashedFile:
    """A file's hash; `identity` tells whether it is still that file, None when it was in flux."""

    sha256: str
    identity: tuple[int, ...] | None


def hash_file(path: Path, image_fps: float | None = None) -> HashedFile:
    """Read a file through, or images as one video.  Raises OSError, or as `video_file` does."""
    before, changed_ns = _identity(path, image_fps)
    with video_file(path, image_fps) as file:
        digest = sha256_file(file)
    same = _identity(path, image_fps)[0] == before
    settled = time.time_ns() - changed_ns > SETTLED_NS
    return HashedFile(digest, before if same and settled else None)


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

    def get(self, path: Path, image_fps: float | None = None) -> str | None:
        """Return the hash of a file that was hashed before and has not changed, else None."""
        try:
            return self._known.get(_identity(path, image_fps)[0])
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


def _identity(path: Path, image_fps: float | None) -> tuple[tuple[int, ...], int]:
    """Return what tells a file, or images at a rate, from others, and when it last changed."""
    if not is_images(path):
        status = path.stat()
        return _of_file(status), max(status.st_mtime_ns, status.st_ctime_ns)
    found = [image.stat() for image in (images_in(path) if path.is_dir() else (path,))]
    parts = [_of_file(status) for status in (path.stat(), *found)]
    changed_ns = max((max(one.st_mtime_ns, one.st_ctime_ns) for one in found), default=0)
    return (int(sha256_json([image_fps, parts]), 16),), changed_ns


def _of_file(status: os.stat_result) -> tuple[int, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)

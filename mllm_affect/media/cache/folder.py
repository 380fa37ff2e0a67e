"""A folder of clip entries that several processes share.

Does: publish whole entries only, hold the folder to its bound by evicting what was used least
recently, clear away what killed writers left.  Does not: know what an entry holds, or decode.

Locks are `flock`: the kernel releases them when a process ends, however it ends.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from mllm_affect.errors import UserError
from mllm_affect.files import write_json

SETTINGS, LOCK, CLIPS, SUFFIX = "cache.json", ".lock", "clips", ".npz"
WRITING = ".writing-"
FORMAT = 1
DEFAULT_BYTES = 20 << 30
EVICT_TO = 0.9
"""Evicting goes on to this share of the bound, so that not every entry costs a look at all."""


@dataclass(frozen=True)
class ClipCache:
    """Where decoded clips are kept.  Make one by `open`.

    `max_bytes` bounds the entries together, None leaves them unbounded; it is kept in the folder's
    cache.json.  Entries used since `keep_since_ns` (time.time_ns) are never evicted.
    """

    folder: Path
    max_bytes: int | None
    keep_since_ns: int | None = None

    @classmethod
    def open(cls, folder: Path, max_bytes: int | None = DEFAULT_BYTES) -> Self:
        """Open a folder, or make it with this bound; an existing one keeps its own bound.

        Raises UserError `bad_cache` when its settings make no sense or it cannot be written.
        """
        path = folder / SETTINGS
        try:
            (folder / CLIPS).mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                write_json(path, {"format": FORMAT, "max_bytes": max_bytes})
            settings = json.loads(path.read_text(encoding="utf-8"))
            found, bound = settings["format"], settings["max_bytes"]
            if found != FORMAT or not (bound is None or (type(bound) is int and bound >= 0)):
                raise ValueError(f"{SETTINGS} holds {settings}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "bad_cache", f"{folder} cannot be used as a clip cache ({error}); name another."
            ) from error
        return cls(folder, bound)

    def bounded(self, max_bytes: int | None) -> Self:
        """Give the folder another bound; it holds from the next entry on."""
        with self.writing():
            write_json(self.folder / SETTINGS, {"format": FORMAT, "max_bytes": max_bytes})
        return replace(self, max_bytes=max_bytes)

    def path(self, key: str) -> Path:
        """Return where the entry of a key lies or would lie."""
        return self.folder / CLIPS / key[:2] / f"{key}{SUFFIX}"

    def touch(self, key: str) -> None:
        """Note that an entry was used just now."""
        with contextlib.suppress(OSError):
            _use_now(self.path(key))

    def drop(self, key: str) -> None:
        """Remove an entry if it is there."""
        self.path(key).unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a write that the disk refuses into UserError `cache_not_written`."""
        try:
            yield
        except OSError as error:
            raise UserError(
                "cache_not_written",
                f"The clip cache {self.folder} cannot be written ({error.strerror or error}); free "
                "some space or name another folder. What is in it is whole.",
            ) from error

    @contextmanager
    def publishing(self, key: str) -> Iterator[IO[bytes]]:
        """Yield a file to write an entry into; it becomes the key's entry when the block ends.

        On an exception it is removed.  An entry larger than the bound is not kept.  Raises
        UserError `cache_full` when the bound leaves no room beside entries that must be kept,
        `cache_not_written` when the disk refuses.
        """
        with self.writing():
            handle, name = self._begin()
        temporary, stream = Path(name), os.fdopen(handle, "w+b")
        try:
            yield stream
            with self.writing():
                stream.flush()
                os.fsync(handle)
                # Renamed while its lock is held: no sweep takes it for a dead writer's.
                self._admit(key, temporary)
        finally:
            with contextlib.suppress(OSError):  # what the disk refused is still in its buffer
                stream.close()
            temporary.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what writers that no longer live left unfinished."""
        with self._locked():
            for path in (self.folder / CLIPS).glob(f"{WRITING}*"):
                with path.open("rb") as stream, contextlib.suppress(BlockingIOError):
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    def total_bytes(self) -> int:
        """Return the size of all entries together."""
        return sum(size for _, size, _ in self._entries())

    def _begin(self) -> tuple[int, str]:
        # Under the folder's lock: a sweep never meets the file before its own lock is taken.
        with self._locked():
            handle, name = tempfile.mkstemp(dir=self.folder / CLIPS, prefix=WRITING)
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.fchmod(handle, 0o644)
        return handle, name

    def _admit(self, key: str, temporary: Path) -> None:
        path, size = self.path(key), temporary.stat().st_size
        with self._locked() as noted:
            if self.max_bytes is not None:
                if size > self.max_bytes and self.keep_since_ns is None:
                    return
                total = noted.total()
                if total is None or total + size > self.max_bytes:
                    total = self._make_room(size, self.max_bytes)
                # Noted before the rename: a writer that dies in between leaves too high a figure,
                # and the next look at all entries sets it right.
                noted.note(total + size)
            path.parent.mkdir(exist_ok=True)
            _use_now(temporary)
            temporary.replace(path)

    def _make_room(self, size: int, bound: int) -> int:
        """Evict until an entry of this size fits; return the size of what is left."""
        entries = sorted(self._entries())
        total = sum(one for _, one, _ in entries)
        for used_ns, one, path in entries:
            if total + size <= EVICT_TO * bound:
                break
            if self.keep_since_ns is not None and used_ns >= self.keep_since_ns:
                break
            path.unlink(missing_ok=True)
            total -= one
        if total + size > bound:
            raise UserError(
                "cache_full",
                f"{self.folder} holds {total} bytes of this run and may hold {bound}; the next "
                f"video needs {size}. Raise the bound or prepare fewer videos.",
            )
        return total

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """Yield (last use in ns, bytes, path) of every entry."""
        for path in (self.folder / CLIPS).glob(f"??/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                yield found.st_atime_ns, found.st_size, path

    @contextmanager
    def _locked(self) -> Iterator["_Noted"]:
        with os.fdopen(os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield _Noted(lock)


class _Noted:
    """The size of all entries as noted in the locked lock file: never too low."""

    def __init__(self, lock: IO[bytes]) -> None:
        self._lock = lock

    def total(self) -> int | None:
        text = self._lock.read()
        return int(text) if text.isdigit() else None

    def note(self, total: int) -> None:
        self._lock.seek(0)
        self._lock.write(b"%020d" % total)
        self._lock.truncate()


def _use_now(path: Path) -> None:
    # By our own clock: the kernel's for files lags it by some milliseconds.
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))

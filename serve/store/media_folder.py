"""The folder that holds uploaded videos, each named by the SHA-256 of its bytes.

Does: take bytes in under a name of ours, put them into place, remove them, clear away what killed
processes left.  Does not: know owners or look inside; nothing here is named by a client.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from serve.store.disk_reserve import DiskReserve
from serve.store.storage_errors import Outage, StorageFullError, disk_faults

LOOK_BYTES = 4 << 20
"""After so much of an upload it is looked whether the disk still has room."""


class Incoming:
    """Bytes on their way in; locked against the sweeping of other processes."""

    def __init__(
        self, stream: IO[bytes], path: Path, max_bytes: int, refuse_when_full: Callable[[], None]
    ) -> None:
        self._stream, self.path, self._max_bytes = stream, path, max_bytes
        self._refuse_when_full, self._looked_at = refuse_when_full, 0
        self._digest, self.size = hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        """Append.  Raises UserError `file_too_large`, StorageFullError."""
        self.size += len(chunk)
        if self.size - self._looked_at > LOOK_BYTES:
            self._looked_at = self.size
            self._refuse_when_full()
        if self.size > self._max_bytes:
            raise UserError(
                "file_too_large", f"A video may have at most {self._max_bytes >> 20} MiB."
            )
        self._digest.update(chunk)
        self._stream.write(chunk)

    def finish(self) -> str:
        """Make the bytes durable; return their SHA-256."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._digest.hexdigest()


@dataclass(frozen=True)
class MediaFolder:
    """`videos/ab/abcd…` for what is there, `incoming/` for what is on its way."""

    folder: Path
    _full: Outage = field(
        default_factory=lambda: Outage("no room for uploads", "there is room for uploads again"),
        compare=False,
        repr=False,
    )

    @property
    def room(self) -> DiskReserve:
        """How much room there is, and what of it is held for erasing."""
        return DiskReserve(self.folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder, or make it.  Raises UserError `bad_data_folder`."""
        made = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for part in (folder, made.incoming_folder, made.videos_folder, made.clips_folder):
                part.mkdir(exist_ok=True)
                _close_to_others(part)
            made.sweep_incoming()
            made.room.keep_reserve()
        except OSError as error:
            raise UserError(
                "bad_data_folder",
                f"{folder} cannot hold the service's data ({error.strerror}); name another folder.",
            ) from error
        return made

    @property
    def incoming_folder(self) -> Path:
        """Where uploads grow."""
        return self.folder / "incoming"

    @property
    def videos_folder(self) -> Path:
        """Where whole videos lie."""
        return self.folder / "videos"

    @property
    def clips_folder(self) -> Path:
        """Where decoded clips are cached, a folder a video, so that they go with it."""
        return self.folder / "clips"

    def clips(self, sha256: str) -> Path:
        """Return the folder for decoded clips of one video."""
        return self.clips_folder / sha256

    def path(self, sha256: str) -> Path:
        """Return where a video of this hash lies or would lie."""
        return self.videos_folder / sha256[:2] / sha256

    @contextmanager
    def incoming(self, max_bytes: int) -> Iterator[Incoming]:
        """Yield a place for an upload; whatever is still there when the block ends is removed.

        Raises StorageFullError.
        """
        with self._noted(), disk_faults():
            handle, path = self._begin()
            with os.fdopen(handle, "wb") as stream:
                try:
                    yield Incoming(stream, path, max_bytes, self.room.refuse_when_full)
                finally:
                    path.unlink(missing_ok=True)

    def _begin(self) -> tuple[int, Path]:
        self.room.refuse_when_full()
        while True:
            handle, name = tempfile.mkstemp(dir=self.incoming_folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return handle, Path(name)
            os.close(handle)  # swept before it was locked

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except StorageFullError as error:
            self._full.began(error)
            raise
        self._full.ended()

    def keep(self, incoming: Incoming, sha256: str) -> None:
        """Put a finished upload into place; one that is there already stays."""
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        incoming.path.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, sha256: str) -> None:
        """Remove a video and its decoded clips; harmless when they are gone."""
        self.path(sha256).unlink(missing_ok=True)
        shutil.rmtree(self.clips(sha256), ignore_errors=True)

    def is_open_to_others(self) -> bool:
        """Return whether other users may look into it; it is not ours to close then."""
        return bool(self.folder.stat().st_mode & 0o077)

    def is_there(self) -> bool:
        """Return whether the folder is there, which network storage may not be."""
        return self.videos_folder.is_dir()

    def hashes(self) -> Iterator[str]:
        """Yield the hashes of all videos of which something is there."""
        yield from (path.name for path in self.videos_folder.glob("??/*"))
        yield from (path.name for path in self.clips_folder.iterdir())

    def trim_clips(self, max_bytes: int) -> None:
        """Remove decoded clips, those of the video used longest ago first, down to a bound."""
        sizes: dict[Path, int] = {}
        used: dict[Path, float] = {}
        for folder in self.clips_folder.iterdir():
            with contextlib.suppress(OSError):
                states = [path.stat() for path in folder.rglob("*") if path.is_file()]
                sizes[folder] = sum(state.st_size for state in states)
                used[folder] = max((state.st_mtime for state in states), default=0.0)
        total = sum(sizes.values())
        for folder in sorted(sizes, key=lambda one: used[one]):
            if total <= max_bytes:
                return
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]

    def sweep_clips(self) -> None:
        """Remove decoded clips that killed workers left unfinished."""
        for folder in self.clips_folder.iterdir():
            with contextlib.suppress(OSError):
                ClipCache(folder, None).sweep()

    def sweep_incoming(self) -> None:
        """Remove uploads whose process is gone; a living one holds its lock."""
        for path in self.incoming_folder.iterdir():
            with contextlib.suppress(OSError), path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)


def _close_to_others(folder: Path) -> None:
    """Let only its owner into a folder, also one that was there; somebody else's stays as it is."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)

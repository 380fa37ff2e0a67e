"""The file that keeps the clips of one video as one policy decodes them.

Does: name an entry by everything its content depends on; write clips one by one, read them back
bit for bit, notice damage.  Does not: decide where entries lie or how many (see cache_folder).

An entry is an uncompressed .npz that `numpy.load` opens: zip checks every array by CRC-32, and
its directory comes last, so that a cut-off file is no entry.  Why raw: docs/design/0010.
"""

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Self
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.files import sha256_json
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.media.types import Clip, Sampling, Segment

READER_VERSION = 1
"""Raise it when our own code would make another clip of the same file; the key holds it."""

NOTE = "entry.json"
DESCRIBED = ("segment", "sampling")
"""Fields of a clip that the note holds; every other field is an array or None."""

DAMAGE = (
    BadZipFile, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""What zipfile, numpy and json raise on a file whose bytes were changed or cut off."""


class DamagedEntryError(Exception):
    """An entry's bytes are not those that were written; drop it and make it again."""


def policy(sampling: Sampling, max_seconds: float) -> dict[str, Any]:
    """Return everything besides the video that decides the content of its clips."""
    return {
        "reader": READER_VERSION,
        "parts": [field.name for field in fields(Clip)],
        "segmenter": [SEGMENTER, max_seconds],
        "sampling": {"kind": type(sampling).__name__, **asdict(sampling)},
        "pyav": av.__version__,
        "ffmpeg": {name: list(version) for name, version in sorted(av.library_versions.items())},
    }


def entry_key(source_sha256: str, sampling: Sampling, max_seconds: float) -> str:
    """Return the hex SHA-256 that names the entry of a video under a policy."""
    return sha256_json({"source": source_sha256, **policy(sampling, max_seconds)})


class EntryWriter:
    """Writes clips into an open file as they come; `finish` makes it an entry.

    A context manager: leaving it without `finish` leaves a file that is no entry.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._zip = ZipFile(stream, "w", ZIP_STORED)
        self._segments: list[dict[str, Any]] = []
        self._parts: list[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        # Else the collector closes it later, when the stream is gone, and complains.
        with contextlib.suppress(OSError):
            self._zip.close()

    def add(self, clip: Clip) -> None:
        """Write the next clip.  Raises TypeError for a part that is neither an array nor None."""
        place = len(self._segments)
        present = []
        for name, value in _parts(clip):
            if value is not None:
                self._write(_member(place, name), _npy(name, value))
                present.append(name)
        self._segments.append(asdict(clip.segment))
        self._parts.append(present)

    def finish(self) -> None:
        """Write the note and the directory; the stream stays open."""
        note = {"segments": self._segments, "parts": self._parts}
        self._write(NOTE, json.dumps(note, separators=(",", ":")).encode())
        self._zip.close()

    def _write(self, name: str, content: bytes) -> None:
        # A bare ZipInfo carries no time of day: the same clips give the same bytes.
        self._zip.writestr(ZipInfo(name), content)


class EntryReader:
    """Reads an entry.  Raises FileNotFoundError for none, DamagedEntryError for a bad one.

    An open entry can be read to its end also when its file is evicted meanwhile.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = ZipFile(path)
            note: Mapping[str, Any] = json.loads(self._zip.read(NOTE))
            self.segments = tuple(Segment(**segment) for segment in note["segments"])
            self._parts: list[list[str]] = note["parts"]
        except FileNotFoundError:
            raise
        except DAMAGE as error:
            raise DamagedEntryError(f"{path.name}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._zip.close()

    def clips(self, sampling: Sampling) -> Iterator[Clip]:
        """Yield the clips; `sampling` is the one in the entry's key."""
        for place in range(len(self.segments)):
            yield self._clip(place, sampling)

    def _clip(self, place: int, sampling: Sampling) -> Clip:
        try:
            parts = {
                name: _array(self._zip.read(_member(place, name))) for name in self._parts[place]
            }
        except DAMAGE as error:
            raise DamagedEntryError(f"clip {place}: {error}") from error
        absent = {field.name: None for field in fields(Clip) if field.name not in DESCRIBED}
        return Clip(segment=self.segments[place], sampling=sampling, **(absent | parts))  # type: ignore[arg-type]


def _parts(clip: Clip) -> Iterator[tuple[str, Any]]:
    return ((f.name, getattr(clip, f.name)) for f in fields(clip) if f.name not in DESCRIBED)


def _member(place: int, name: str) -> str:
    return f"{place:05d}/{name}.npy"


def _npy(name: str, value: Any) -> bytes:
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        raise TypeError(f"The clip cache has no form for Clip.{name} ({type(value).__name__}).")
    buffer = BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _array(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    return array

"""The file that keeps the clips of one video as one policy decodes them.

Does: name an entry by everything its content depends on; write clips one by one, read them back
bit for bit, notice damage.  Does not: decide where entries lie or how many (see folder).

An entry is an uncompressed .npz that `numpy.load` opens: zip checks every array by CRC-32, and
its directory comes last, so that a cut-off file is no entry.  Why raw: docs/design/0010.
"""

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from io import BytesIO
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, Self, runtime_checkable
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.files import sha256_json
from mllm_affect.media.cache.reader_code import reader_code
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.media.parts import Parts
from mllm_affect.media.types import Clip, Sampling, Segment

NOTE = "entry.json"
DESCRIBED = ("segment", "sampling", "parts")
"""Fields of a clip that are kept in their own way; every other field is an array or None."""

DAMAGE = (
    BadZipFile, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""What zipfile, numpy and json raise on a file whose bytes were changed or cut off."""


@runtime_checkable
class KeptPart(Protocol):
    """A part (see parts) that can be kept beside the frames: what it makes has a form as arrays.

    `kept_as` names the form and how it is made, with a version: another one is another entry.
    """

    kept_as: ClassVar[str]

    def pack(self, made: Any) -> Mapping[str, NDArray[Any]]:
        """Return what was made as named arrays without objects."""

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Return what `pack` was given."""


class DamagedEntryError(Exception):
    """An entry's bytes are not those that were written; drop it and make it again."""


def policy(
    sampling: Sampling, max_seconds: float, parts: Sequence[KeptPart] = ()
) -> dict[str, Any]:
    """Return everything besides the video that decides the content of its clips."""
    return {
        "reader": reader_code(),
        "fields": [field.name for field in fields(Clip)],
        "parts": [[part.kept_as, repr(part)] for part in parts],
        "segmenter": [SEGMENTER, max_seconds],
        "sampling": {"kind": type(sampling).__name__, **sampling.facts()},
        "pyav": av.__version__,
        "ffmpeg": {name: list(version) for name, version in sorted(av.library_versions.items())},
    }


def entry_key(
    source_sha256: str, sampling: Sampling, max_seconds: float, parts: Sequence[KeptPart] = ()
) -> str:
    """Return the hex SHA-256 that names the entry of a video under a policy."""
    return sha256_json({"source": source_sha256, **policy(sampling, max_seconds, parts)})


class EntryWriter:
    """Writes clips into an open file as they come; `finish` makes it an entry.

    A context manager: leaving it without `finish` leaves a file that is no entry.
    """

    def __init__(self, stream: IO[bytes], parts: Sequence[KeptPart] = ()) -> None:
        self._zip = ZipFile(stream, "w", ZIP_STORED)
        self._parts = parts
        self._segments: list[dict[str, Any]] = []
        self._present: list[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        # Else the collector closes it later, when the stream is gone, and complains.
        with contextlib.suppress(OSError):
            self._zip.close()

    def add(self, clip: Clip) -> None:
        """Write the next clip.  Raises TypeError for content that is neither array nor None."""
        place, present = len(self._segments), []
        for name, value in _arrays(clip, self._parts):
            self._write(_member(place, name), _npy(name, value))
            present.append(name)
        self._segments.append(asdict(clip.segment))
        self._present.append(present)

    def finish(self) -> None:
        """Write the note and the directory; the stream stays open."""
        note = {"segments": self._segments, "present": self._present}
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
            self.segments = tuple(map(Segment.from_json, note["segments"]))
            self._present: list[list[str]] = note["present"]
        except FileNotFoundError:
            raise
        except DAMAGE as error:
            raise DamagedEntryError(f"{path.name}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._zip.close()

    def clips(self, sampling: Sampling, parts: Sequence[KeptPart] = ()) -> Iterator[Clip]:
        """Yield the clips; `sampling` and `parts` are those in the entry's key."""
        for place in range(len(self.segments)):
            try:
                yield self._clip(place, sampling, parts)
            except DAMAGE as error:
                raise DamagedEntryError(f"clip {place}: {error}") from error

    def _clip(self, place: int, sampling: Sampling, parts: Sequence[KeptPart]) -> Clip:
        found: dict[str, Any] = {f.name: None for f in fields(Clip) if f.name not in DESCRIBED}
        packed: list[dict[str, NDArray[Any]]] = [{} for _ in parts]
        for name in self._present[place]:
            array = _array(self._zip.read(_member(place, name)))
            if name in found:
                found[name] = array
            else:
                number, _, part_name = name.partition(".")
                packed[int(number)][part_name] = array
        made = {part: part.unpack(arrays) for part, arrays in zip(parts, packed, strict=True)}
        return Clip(self.segments[place], sampling, parts=Parts(made), **found)  # type: ignore[arg-type]


def _arrays(clip: Clip, parts: Sequence[KeptPart]) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of a clip under unique names: fields by theirs, parts by number and name."""
    for field in fields(clip):
        value = getattr(clip, field.name)
        if field.name not in DESCRIBED and value is not None:
            yield field.name, value
    for number, part in enumerate(parts):
        for name, value in part.pack(clip.parts[part]).items():  # type: ignore[index]
            yield f"{number}.{name}", value


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

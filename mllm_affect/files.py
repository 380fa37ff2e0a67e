"""Writing files so that a reader sees the whole file or none.

Does: write text, bytes, JSON and JSON lines through a temporary neighbour, fsync and rename;
refuse a folder that is not empty; hash files.  Does not: lock, or clean up after another process.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.safe_text import json_text

CHUNK_BYTES = 1 << 20


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed onto `path`.

    `mode`: permissions of the new file, which nobody else can read while it is written.
    On an exception the temporary file is removed and `path` keeps its old content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_filled(folder: Path) -> None:
    """Raise UserError `not_empty` unless `folder` is a new or an empty one."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "not_empty", f"{folder} is not an empty folder; name one that is, or a new."
        )


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path, mode) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 `content` to `path`, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys left as given."""
    write_text(path, json_text(value, indent=2) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write one compact JSON object a line; return how many."""
    lines = [json_text(row) for row in rows]
    write_text(path, "".join(line + "\n" for line in lines))
    return len(lines)


def read_jsonl(path: Path) -> list[Any]:
    """Read one JSON value a line, blank lines skipped."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def lines_of(text: str) -> list[str]:
    """Return the lines of a file's text, ended by a line feed, a carriage return or both.

    Unlike `str.splitlines`, which also ends lines at U+2028 and other characters that names,
    answers and transcripts may hold.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of the file's bytes."""
    with path.open("rb") as stream:
        return sha256_descriptor(stream.fileno())


def sha256_descriptor(descriptor: int) -> str:
    """Return the hex SHA-256 of an open file's bytes, wherever it was read to."""
    digest, place = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, CHUNK_BYTES, place):
        digest.update(chunk)
        place += len(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the hex SHA-256 of `value` as canonical JSON (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()

"""The annotation file, parsed once: a small index beside it that loads in a moment.

Does: build the index entry by entry, keep it beside the annotations under their size and time,
load it while they are unchanged.  Does not: judge what it holds.

The index lies in the release's own folder because it holds what the licence covers.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mllm_affect.data.bah.annotation import Annotation, read_annotation
from mllm_affect.data.bah.layout import ANNOTATIONS
from mllm_affect.data.bah.safe_yaml import entries
from mllm_affect.files import sha256_file, write_text

INDEX_NAME = ".mllm-affect-annotations.json"
INDEX_VERSION = 1
"""Raise it when the same annotations would give another index."""


class Index(BaseModel):
    """All annotations of a release, in the file's order, and which file they were read from."""

    model_config = ConfigDict(frozen=True)

    version: int
    file_bytes: int
    file_time_ns: int
    sha256: str
    videos: tuple[Annotation, ...]


def read_index(folder: Path, keep: bool = True) -> Index | None:
    """Return the annotations of a release, from the kept index where it is still right.

    None where the release has no annotation file.  `keep` writes the index if it can; a folder
    that cannot be written to is read all the same, only slowly.  Raises UserError `bad_yaml`,
    `unsafe_yaml`.
    """
    path = folder / ANNOTATIONS
    if not path.is_file():
        return None
    kept = load_index(folder)
    if kept is not None:
        return kept
    stat = path.stat()
    index = Index(
        version=INDEX_VERSION,
        file_bytes=stat.st_size,
        file_time_ns=stat.st_mtime_ns,
        sha256=sha256_file(path),
        videos=tuple(read_annotation(written, entry) for written, entry in entries(path)),
    )
    if keep:
        try:
            write_text(folder / INDEX_NAME, index.model_dump_json())
        except OSError:
            return index
    return index


def load_index(folder: Path) -> Index | None:
    """Return the kept index, None where there is none that fits the annotation file."""
    kept = folder / INDEX_NAME
    if not kept.is_file():
        return None
    try:
        index = Index.model_validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        return None
    stat = (folder / ANNOTATIONS).stat()
    fits = (index.version, index.file_bytes, index.file_time_ns) == (
        INDEX_VERSION,
        stat.st_size,
        stat.st_mtime_ns,
    )
    return index if fits else None

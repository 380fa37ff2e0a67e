"""Lists that name a video or a frame in the first field of every line.

Does: tell a header line from a row.  Does not: read files, or know what else a row holds.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".jpg", ".jpeg", ".png"})

HEADER_WORDS = frozenset(
    {
        "clip", "file", "file name", "filename", "frame", "id", "image", "name", "path", "sample",
        "video", "video id", "video path", "videos",
    }
)  # fmt: skip
"""How a first column is called, in small letters, underscores and hyphens as blanks."""


def has_header(first_fields: Sequence[str]) -> bool:
    """Whether the first of these lines is a header; `first_fields`: of each line, in order.

    It is where it is called as columns are, or names no file while all other lines do.
    """
    if not first_fields or names_file(first_fields[0]):
        return False
    words = first_fields[0].strip().strip("\"'").casefold().replace("_", " ").replace("-", " ")
    if words in HEADER_WORDS:
        return True
    rest = first_fields[1:]
    return bool(rest) and all(map(names_file, rest))


def names_file(field: str) -> bool:
    """Whether a field can be the path of a video or image: it has a folder or a known suffix."""
    path = field.strip().strip("\"'").replace("\\", "/")
    return "/" in path or PurePosixPath(path).suffix.lower() in SUFFIXES

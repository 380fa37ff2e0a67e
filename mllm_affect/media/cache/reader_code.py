"""Which code makes a clip, so that clips of other code are never taken for its own.

Does: hash the sources of every module that decides a clip's content.  Does not: tell a change of
substance from one of wording: after either, videos are decoded anew.
"""

import hashlib
from functools import cache
from pathlib import Path

MEDIA = Path(__file__).resolve().parents[1]
MAKES_CLIPS = (
    "cutting.py", "decoding/*.py", "display.py", "images/*.py", "looking.py", "packet_survey.py",
    "parts.py", "reader.py", "sampling/*.py", "sound_overhang.py", "source.py", "tone_mapping.py",
    "types.py", "warnings.py",
)  # fmt: skip
"""Relative to the media room; modules that only refuse files (limits, refusals) do not count."""


def modules() -> list[Path]:
    """Return the files in a fixed order."""
    return sorted(path for pattern in MAKES_CLIPS for path in MEDIA.glob(pattern))


@cache
def reader_code() -> str:
    """Return 16 hex digits of the SHA-256 over their names and bytes."""
    found = hashlib.sha256()
    for path in modules():
        found.update(f"{path.relative_to(MEDIA).as_posix()}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]

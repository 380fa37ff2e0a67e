"""`segments.jsonl`: the segments of one source, a JSON object a line.

Does: write and read.  Does not: cut.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mllm_affect.files import read_jsonl, write_jsonl
from mllm_affect.media.types import Segment

FILE_NAME = "segments.jsonl"


def write_segments(folder: Path, segments: Sequence[Segment]) -> Path:
    """Write the segments into `folder`; return the file's path."""
    path = folder / FILE_NAME
    write_jsonl(path, (asdict(segment) for segment in segments))
    return path


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Read what `write_segments` wrote, now or before there were warnings."""
    return tuple(map(Segment.from_json, read_jsonl(path)))

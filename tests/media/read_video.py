"""A made video together with what the package makes of it."""

from dataclasses import dataclass
from pathlib import Path

from made_videos import Made

from mllm_affect.media.probe import probe
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Segment, Source


@dataclass(frozen=True)
class MadeVideo:
    """A file, what was put into it, and what the package makes of it."""

    path: Path
    made: Made
    source: Source
    segments: tuple[Segment, ...]


def read_video(path: Path, made: Made) -> MadeVideo:
    """Probe and segment a made file."""
    source = probe(path)
    return MadeVideo(path, made, source, segment(source))

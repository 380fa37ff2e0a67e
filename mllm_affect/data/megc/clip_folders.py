"""Where a clip's frames are: from the name in a row to image files in natural order.

Does: find folders of images, single images and video files below a root, and say for each name
which of them it is, or that it is missing or ambiguous; say which frame numbers a folder has and
leaves out.  Does not: decode anything.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final

from mllm_affect.data.megc.coding_sheets import LAYOUTS
from mllm_affect.data.megc.folds import person
from mllm_affect.errors import UserError
from mllm_affect.media.images.naming import IMAGES, images_in, is_image

VIDEOS: Final = frozenset({".avi", ".mkv", ".mov", ".mp4"})


class ClipState(StrEnum):
    """What stands behind a clip's name."""

    frames = "frames"
    single_image = "single_image"
    video = "video"
    empty = "empty"
    missing = "missing"
    ambiguous = "ambiguous"


@dataclass(frozen=True)
class ClipFiles:
    """A clip's files.  `images` are in natural order; empty unless `state` is about images."""

    name: str
    state: ClipState
    path: Path | None = None
    images: tuple[Path, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is something to look at."""
        return self.state in (ClipState.frames, ClipState.single_image, ClipState.video)


def frame_number(image: Path) -> int | None:
    """Return the last number in an image's name: its frame's, where names count frames."""
    numbers: list[str] = re.findall(r"[0-9]+", image.stem)
    return int(numbers[-1]) if numbers else None


def frame_places(files: ClipFiles) -> dict[int, int]:
    """Return the place among a clip's images of each frame number; empty for a video file."""
    numbered = ((frame_number(image), place) for place, image in enumerate(files.images))
    return {number: place for number, place in numbered if number is not None}


def number_gaps(files: ClipFiles) -> list[tuple[int, int]]:
    """Return the frame numbers that a folder of images leaves out, as (first, last) of each gap.

    Numbers may have a step (every second frame is kept), which is the most frequent one.  Names
    that are not numbered evenly, such as times, have no gaps.
    """
    numbers = sorted(frame_places(files))
    steps = Counter(after - before for before, after in pairwise(numbers))
    if not steps:
        return []
    usual, often = steps.most_common(1)[0]
    if 2 * often < steps.total() or any(step % usual for step in steps):
        return []
    return [
        (before + usual, after - usual)
        for before, after in pairwise(numbers)
        if after - before > usual
    ]


class ClipFinder:
    """Finds clips below a root, whose folders are listed once.

    A name is tried as a path below the root, then as the name of a folder, or of a file without
    its suffix, anywhere below it.  Where several have that name, a subject keeps those in a folder
    of that person, however padded, and a dataset those in a folder named after it (`CAS(ME)3_test`
    after `casme3`), or else those in no folder named after another dataset.  How datasets nest
    their folders need not be known.
    """

    def __init__(self, root: Path) -> None:
        """List what is below `root`.  Raises UserError `missing_frames` when it is no folder."""
        if not root.is_dir():
            raise UserError("missing_frames", f"{root} is no folder; give the folder of the clips.")
        self.root = root
        self._named: dict[str, list[Path]] = {}
        for folder, folders, files in os.walk(root, followlinks=True):
            folders.sort()
            here = Path(folder)
            for name in folders:
                self._named.setdefault(name, []).append(here / name)
            for name in sorted(files):
                if Path(name).suffix.lower() in VIDEOS:
                    self._named.setdefault(Path(name).stem, []).append(here / name)

    def find(self, name: str, subject: str | None = None, dataset: str | None = None) -> ClipFiles:
        """Return the files of the clip that a row calls `name`."""
        direct = self._direct(name)
        if direct is not None:
            return _files(name, direct)
        last = PurePosixPath(name.replace("\\", "/")).name
        stem = Path(last).stem if Path(last).suffix.lower() in IMAGES | VIDEOS else last
        found = self._named.get(last) or self._named.get(stem) or []
        if subject is not None and len(found) > 1:
            found = [path for path in found if self._belongs(path, subject)]
        if dataset is not None and len(found) > 1:
            found = self._of_dataset(found, dataset)
        if not found:
            return ClipFiles(name, ClipState.missing)
        if len(found) > 1:
            return ClipFiles(name, ClipState.ambiguous)
        return _files(name, found[0])

    def _direct(self, name: str) -> Path | None:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            return None
        path = self.root.joinpath(*parts.parts)
        return path if path.exists() else None

    def _belongs(self, path: Path, subject: str) -> bool:
        wanted = person("", subject)
        return any(person("", part) == wanted for part in path.relative_to(self.root).parts[:-1])

    def _of_dataset(self, paths: list[Path], dataset: str) -> list[Path]:
        wanted = _plain(dataset)
        named = {
            path: {
                known
                for part in path.relative_to(self.root).parts[:-1]
                for known in {*LAYOUTS, wanted}
                if known in _plain(part)
            }
            for path in paths
        }
        own = [path for path in paths if wanted in named[path]]
        return own or [path for path in paths if not named[path]] or paths


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _files(name: str, path: Path) -> ClipFiles:
    if path.is_file():
        if is_image(path):
            return ClipFiles(name, ClipState.single_image, path, (path,))
        return ClipFiles(name, ClipState.video, path)
    images = images_in(path)
    if not images:
        return ClipFiles(name, ClipState.empty, path)
    state = ClipState.frames if len(images) > 1 else ClipState.single_image
    return ClipFiles(name, state, path, images)

"""Where things lie in a release of BAH, and how a video is named.

Does: bring the spellings of a video's path (spaces or underscores, composed or decomposed letters,
with or without the leading folder) to one key, find the videos, read facts off their names.
Does not: open any file.
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

VIDEOS = "Videos"
TRANSCRIPTS = "transcription"
SPLIT_FOLDER = "split"
FRAME_SPLIT_FOLDER = "split-frames"
ANNOTATIONS = "video_annotation_transcript.yaml"
PARTICIPANTS = "meta_data.yml"
SPLITS = ("train", "val", "test")
"""The published splits; further lists, as that of a private test set, are read after them."""
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi"})

QUESTIONS = {
    "1": "neutral",
    "2": "positive",
    "3": "negative",
    "4": "ambivalent",
    "5": "willing",
    "6": "resistant",
    "7": "hesitant",
}
"""What each of the seven questions was meant to bring about."""

_QUESTION = re.compile(r"_question_([1-7])(?=_|$)", re.IGNORECASE)
_FRAME = re.compile(r"^(?P<video>.+)/frame-(?P<index>\d+)\.jpg$")


def is_release(folder: Path) -> bool:
    """Whether a folder has the shape of a release: split lists beside the videos."""
    return bool(split_names(folder)) and (folder / VIDEOS).is_dir()


def split_names(folder: Path, below: str = SPLIT_FOLDER) -> tuple[str, ...]:
    """Return the names of the split lists that a release has, the published ones first."""
    listed = {path.stem for path in (folder / below).glob("[!.]*.txt") if path.is_file()}
    return (*(name for name in SPLITS if name in listed), *sorted(listed - set(SPLITS)))


def key_of(written: str) -> str:
    """Return the one key of a video's path as any file of any version writes it."""
    parts = list(PurePosixPath(written.strip().replace("\\", "/")).parts)
    if parts and parts[0] == VIDEOS:
        del parts[0]
    return unicodedata.normalize("NFC", "/".join(parts)).replace(" ", "_")


def participant_of(key: str) -> str:
    """Return whose video it is: the first folder of its key."""
    return key.partition("/")[0]


def question_of(key: str) -> str | None:
    """Return the number of the question that a video answers, None where its name has none."""
    found = _QUESTION.search(PurePosixPath(key).stem)
    return found.group(1) if found else None


def frame_of(written: str) -> tuple[str, int] | None:
    """Return video and index of a frame's path, None where it is no such path."""
    found = _FRAME.match(written)
    return (found["video"], int(found["index"])) if found else None


def find_videos(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield key and path below `folder` of every video on disk, sorted by path."""
    for path in sorted((folder / VIDEOS).rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            relative = path.relative_to(folder).as_posix()
            yield key_of(relative), relative

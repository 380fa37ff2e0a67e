"""The lists of a release: which video, or which frame, is in which split with which label.

Does: read `split/*.txt` and `split-frames/*.txt`, tolerate a byte order mark and Windows line
ends and note both.  Does not: look for the videos, or compare lists with each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.data.bah.layout import (
    FRAME_SPLIT_FOLDER,
    SPLIT_FOLDER,
    SPLITS,
    frame_of,
    key_of,
)
from mllm_affect.errors import UserError

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Note:
    """Something odd about a file; `code` is stable."""

    code: str
    where: str
    sentence: str


@dataclass(frozen=True)
class SplitRow:
    """A line of a split list.  `label` is None for a video whose label is kept secret."""

    split: str
    line: int
    written: str
    label: int | None
    transcript: str

    @property
    def key(self) -> str:
        """The video's key."""
        return key_of(self.written)


def read_splits(folder: Path, notes: list[Note]) -> list[SplitRow]:
    """Read the lists of all splits that a release has; add what is odd to `notes`.

    A line that names no video or has a label other than 0 and 1 is left out and noted.
    Raises UserError `no_examples` where there is no list at all.
    """
    rows = []
    for split, path in _lists(folder, SPLIT_FOLDER):
        for number, line in enumerate(_lines(path, folder, notes), start=1):
            written, *rest = line.split(",", 2)
            label = rest[0].strip() if rest else ""
            if not written.strip() or label not in ("0", "1", ""):
                where = f"{SPLIT_FOLDER}/{split}.txt, line {number}"
                notes.append(Note("bad_line", where, "is not path,label,transcript"))
                continue
            said = rest[1] if len(rest) == 2 else ""
            rows.append(SplitRow(split, number, written, int(label) if label else None, said))
    if not rows:
        raise UserError(
            "no_examples", f"{folder / SPLIT_FOLDER} lists no video; give a release of BAH."
        )
    return rows


def read_frame_labels(folder: Path, notes: list[Note]) -> dict[str, dict[str, dict[int, int]]]:
    """Return label by frame index by key by split from the frame lists, as far as there are any."""
    labels: dict[str, dict[str, dict[int, int]]] = {}
    for split, path in _lists(folder, FRAME_SPLIT_FOLDER):
        keys: dict[str, str] = {}
        of_split = labels.setdefault(split, {})
        for number, line in enumerate(_lines(path, folder, notes), start=1):
            written, _, label = line.rpartition(",")
            frame = frame_of(written.strip())
            if frame is None or label.strip() not in ("0", "1"):
                where = f"{FRAME_SPLIT_FOLDER}/{split}.txt, line {number}"
                notes.append(Note("bad_line", where, "is not <video>/frame-<N>.jpg,label"))
                continue
            key = keys.setdefault(frame[0], key_of(frame[0]))
            of_split.setdefault(key, {})[frame[1]] = int(label)
    return labels


def _lists(folder: Path, below: str) -> Iterator[tuple[str, Path]]:
    for split in SPLITS:
        path = folder / below / f"{split}.txt"
        if path.is_file():
            yield split, path


def _lines(path: Path, folder: Path, notes: list[Note]) -> Iterator[str]:
    """Yield the lines without their ends; blank ones at the end of the file are none."""
    where = path.relative_to(folder).as_posix()
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError("bad_examples", f"{path} is not UTF-8 text.") from error
    if text.startswith(BYTE_ORDER_MARK):
        sentence = "begins with a byte order mark, which other readers take for part of a path"
        notes.append(Note("byte_order_mark", where, sentence))
        text = text.removeprefix(BYTE_ORDER_MARK)
    if "\r" in text:
        sentence = "has Windows line ends, which other readers take for part of the line"
        notes.append(Note("windows_line_ends", where, sentence))
        text = text.replace("\r\n", "\n")
    # Not splitlines(): a transcript may hold characters that Python takes for line ends.
    yield from text.rstrip("\n").split("\n") if text.strip() else ()

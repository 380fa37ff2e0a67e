"""The lists of a release: which video, or which frame, is in which split with which label.

Does: read `split/*.txt` and `split-frames/*.txt`, tolerate a byte order mark, Windows line ends and
a header line and note each.  Does not: look for the videos, or compare lists with each other.
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
    split_names,
)
from mllm_affect.data.bah.row_lists import has_header, names_file
from mllm_affect.errors import UserError

BYTE_ORDER_MARK = "\ufeff"
NO_LABEL = frozenset({"", "-1", "?"})
"""What stands for a label that is not told."""


@dataclass(frozen=True)
class Note:
    """Something odd about a file; `code` is stable.

    A `fault` keeps other readers from reading the file.
    """

    code: str
    where: str
    sentence: str
    fault: bool = True


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
        lines = list(_lines(path, folder, notes))
        if split not in SPLITS and not any(names_file(line.split(",", 1)[0]) for line in lines):
            where = f"{SPLIT_FOLDER}/{split}.txt"
            notes.append(Note("no_list", where, "names no video and is passed over", fault=False))
            continue
        for number, line in enumerate(lines, start=1):
            if number == 1 and _header(lines, f"{SPLIT_FOLDER}/{split}.txt", notes):
                continue
            written, *rest = line.split(",", 2)
            label = rest[0].strip() if rest else ""
            if not written.strip() or label not in {"0", "1", *NO_LABEL}:
                where = f"{SPLIT_FOLDER}/{split}.txt, line {number}"
                notes.append(Note("bad_line", where, "is not path,label,transcript"))
                continue
            said = rest[1] if len(rest) == 2 else ""
            known = None if label in NO_LABEL else int(label)
            rows.append(SplitRow(split, number, written, known, said))
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
        lines = list(_lines(path, folder, notes))
        for number, line in enumerate(lines, start=1):
            if number == 1 and _header(lines, f"{FRAME_SPLIT_FOLDER}/{split}.txt", notes):
                continue
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
    for split in split_names(folder, below):
        yield split, folder / below / f"{split}.txt"


def _header(lines: list[str], where: str, notes: list[Note]) -> bool:
    """Whether the first line is a header; note it if so."""
    found = has_header([line.split(",", 1)[0] for line in lines])
    if found:
        sentence = "is a header, which other readers take for a video"
        notes.append(Note("header_line", f"{where}, line 1", sentence, fault=False))
    return found


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

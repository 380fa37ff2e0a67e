"""Which videos a corpus holds.

Does: find them below a folder by their content, in a list file, or in a labelled set; count what
is left out and why.  Does not: open them beyond the first bytes, or read labels.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mllm_affect.data.bah.layout import is_release
from mllm_affect.data.examples import FILE_NAME, Example
from mllm_affect.data.footage import Footage, footage
from mllm_affect.data.labelled import read_labelled
from mllm_affect.errors import UserError
from mllm_affect.files import lines_of
from mllm_affect.media.decoding.opening import sniff
from mllm_affect.media.images.naming import is_image
from mllm_affect.media.video import following_links

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
"""A file that is called so is taken for a video whatever it holds: its refusal is of interest."""


@dataclass(frozen=True)
class Corpus:
    """Videos in a stable order; names are relative to `root`, with forward slashes.

    `left_out` counts the files that are no videos, by reason.  `examples`: what a labelled set says
    about its videos, by name, and `sha256` of all that says it; nothing for other corpora.
    """

    root: Path
    videos: tuple[str, ...]
    left_out: Mapping[str, int]
    examples: Mapping[str, Example] = field(default_factory=dict)
    sha256: str | None = None

    def footage(self, video: str) -> Footage:
        """Return what to open for a video: its file, or a folder of images with its rate."""
        example = self.examples.get(video)
        return following_links(self.path(video)) if example is None else footage(self.root, example)

    def path(self, video: str) -> Path:
        """Return where a video is."""
        return self.root / video


def find_videos(
    place: Path, except_below: Path, *, images: bool = False, split: str | None = None
) -> Corpus:
    """Return the videos of a folder, of a list (a path a line, relative to it) or labelled set.

    A labelled set (see labelled) holds what its list names.  Any other folder is searched with all
    folders below it, but for hidden files, folders that are links, and what is below
    `except_below`.  With `images`, a folder that holds images itself is one video.  `split`: only
    that split of a labelled set, with labels or without.

    Raises UserError `no_corpus`, `bad_list`, `no_videos`, `bad_options` for a split of something
    else, `no_examples` for one that is not there, or as reading a labelled set does.
    """
    labelled = place.is_dir() and ((place / FILE_NAME).is_file() or is_release(place))
    if split is not None and not labelled:
        raise UserError(
            "bad_options", f"{place} is no labelled set, so it has no split {split!r} to choose."
        )
    if labelled:
        corpus = _labelled(place, split)
    elif place.is_dir():
        corpus = _below(place, except_below, images)
    elif place.is_file():
        corpus = _listed(place)
    else:
        raise UserError("no_corpus", f"No folder or list at {place}; check the path.")
    if not corpus.videos:
        raise UserError("no_videos", f"{place} holds no video.")
    return corpus


def _labelled(folder: Path, split: str | None) -> Corpus:
    found = read_labelled(folder)
    examples = {item.video: item for item in found.examples if split in (None, item.split)}
    if not examples:
        splits = ", ".join(dict.fromkeys(item.split for item in found.examples))
        raise UserError("no_examples", f"{folder} has no split {split!r}; it has {splits}.")
    return Corpus(folder, tuple(examples), found.left_out, examples, found.sha256)


def _listed(path: Path) -> Corpus:
    try:
        lines = lines_of(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(
            "bad_list", f"{path} is no list of videos (not UTF-8 text); give a folder or a list."
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    broken = next((name for name in names if "\0" in name), None)
    if broken is not None:
        raise UserError("bad_list", f"{path} is no list of videos: it holds NUL characters.")
    videos = tuple(dict.fromkeys(names))
    twice = len(names) - len(videos)
    return Corpus(path.parent, videos, {"named twice": twice} if twice else {})


def _below(folder: Path, except_below: Path, images: bool) -> Corpus:
    left_out: Counter[str] = Counter()
    found: set[Path] = set()
    for path in _files(folder, except_below.resolve(), left_out):
        if images and is_image(path):
            found.add(path.parent)
        elif _may_be_video(path, left_out):
            found.add(path)
    videos = [path.relative_to(folder).as_posix() for path in found]
    return Corpus(folder, tuple(sorted(videos)), dict(sorted(left_out.items())))


def _files(folder: Path, except_below: Path, left_out: Counter[str]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        left_out["hidden"] += sum(name.startswith(".") for name in [*folders, *names])
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (here / name).resolve() != except_below
        ]
        yield from (here / name for name in names if not name.startswith("."))
    left_out += Counter()  # drops the zero


def _may_be_video(path: Path, left_out: Counter[str]) -> bool:
    if not _is_text(str(path)):
        left_out["name is not UTF-8"] += 1
        return False
    try:
        sniff(path)
    except UserError as error:
        if path.suffix.lower() in SUFFIXES:
            return True
        left_out["no video" if error.code == "unsupported_container" else error.code] += 1
        return False
    return True


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Which files of a folder are its frames, and in which order.

Does: know images by their suffix, sort names naturally.  Does not: open files.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

IMAGES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png"})


def is_image(path: Path) -> bool:
    """Whether a file is called like an image."""
    return path.suffix.lower() in IMAGES


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts `img36` before `img105`; numbers come before letters."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def natural_sort(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths in the natural order of their file names."""
    return tuple(sorted(paths, key=lambda path: natural_key(path.name)))


def images_in(folder: Path) -> tuple[Path, ...]:
    """Return the images of a folder in natural order, hidden files left out.  Raises OSError."""
    return natural_sort(
        path
        for path in folder.iterdir()
        if is_image(path) and path.is_file() and not path.name.startswith(".")
    )

"""A copy of the working tree in which modules are changed and tests are run.

Does: copy the tracked and the new files, keep the copy up to date, put a mutant's source into it
and take it out again.  Does not: touch the working tree.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Container, Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

LINKED = (".cache",)
"""Folders that tests only read: linked instead of copied."""


PROGRAM = "tests/mutation/"


class ScratchTree:
    """The copy, in `folder`, of the repository at `root`."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Make the copy, or bring it up to date."""
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        files = _files(root)
        for name in sorted(_files_below(self.folder) - files):
            (self.folder / name).unlink()
        for name in sorted(files):
            _copy(root / name, self.folder / name)
        for name in LINKED:
            if (root / name).is_dir() and not (self.folder / name).exists():
                (self.folder / name).symlink_to((root / name).resolve())

    def source(self, module: str) -> str:
        """Return a module's text, without a mutant."""
        return (self.folder / module).read_text(encoding="utf-8")

    def test_files(self) -> set[str]:
        """Return the files of tests, without what they share."""
        found = self.folder.glob("tests/**/test_*.py")
        return {path.relative_to(self.folder).as_posix() for path in found}

    def digest(self, leave_out: Container[str] = ()) -> str:
        """Return a hash of all files but texts and this program: what outcomes depend on."""
        total = hashlib.sha256()
        for name in sorted(_files_below(self.folder)):
            if not name.endswith(".md") and name not in leave_out and not name.startswith(PROGRAM):
                total.update(f"{name} {self.digest_of(name)}\n".encode())
        return total.hexdigest()[:16]

    def digest_of(self, name: str) -> str:
        """Return a hash of one file."""
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()[:16]

    @contextmanager
    def holding(self, module: str, changed: str) -> Iterator[None]:
        """Hold a mutant's source while the block runs."""
        path = self.folder / module
        original = path.read_bytes()
        bytecode = Path(cache_from_source(str(path)))
        try:
            # Bytecode is known by whole seconds and by size: a mutant can have both in common.
            bytecode.unlink(missing_ok=True)
            path.write_text(changed, encoding="utf-8")
            yield
        finally:
            path.write_bytes(original)
            bytecode.unlink(missing_ok=True)


def _files(root: Path) -> set[str]:
    """Return the files that git tracks or would take, relative to `root`."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=root, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (root / name).is_file()}


def _files_below(folder: Path) -> set[str]:
    """Return the files of a tree, but for what running the tests leaves."""
    found = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        left = name.parts[0] in (*LINKED, "runs") or name.name.startswith(".coverage")
        left = left or any(part in ("__pycache__", ".hypothesis") for part in name.parts)
        if path.is_file() and not left and ".pytest_cache" not in name.parts:
            found.add(name.as_posix())
    return found


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its times, unless the copy has the same content."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)

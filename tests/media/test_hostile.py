"""The hostile corpus: every kind gets its answer quickly, and nothing outside is touched."""

import ctypes
import os
import resource
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil
import pytest
from hostile import KINDS, READ, Bait, good
from hostile_matroska import MATROSKA_KINDS
from hostile_mp4 import MP4_KINDS

from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.media.video import open_video

ALL = {
    **KINDS,
    **{f"mp4: {name}": kind for name, kind in MP4_KINDS.items()},
    **{f"mkv: {name}": kind for name, kind in MATROSKA_KINDS.items()},
}

BUSY_SECONDS = 2.0
"""Processor time of parent and child for one file: what it takes on an idle machine."""
BUSY_TIMES = 5.0
"""The same where the machine is slow, in times of what a good file of a second takes on it."""

PRESSURE = [
    path for path in map(Path, ("/proc/pressure/cpu", "/proc/pressure/io")) if path.exists()
]
WALL_SECONDS = 2.0 if PRESSURE else 10.0
"""Wall time for one file, less the time in which anything on this machine waited for a processor
or a disk, as other work shares the cores; more where the kernel does not say that."""

ALWAYS = frozenset(sorted(ALL)[::3])
"""Every third kind is tried in the fast tests; the slow ones try them all."""

OPENED_OR_READ = 0x20 | 0x1


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    """A file and a server that hostile files name; both are watched."""
    path = tmp_path_factory.mktemp("bait") / "secret.mp4"
    path.write_bytes(good("mp4"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield Bait(path, server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture(scope="module")
def busy_at_most(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds of processor time that one file may take here."""
    path = tmp_path_factory.mktemp("usual") / "good.mp4"
    path.write_bytes(good("mp4"))
    took = []
    for _ in range(3):
        before = busy_s()
        assert outcome(path) == READ
        took.append(busy_s() - before)
    return max(BUSY_SECONDS, BUSY_TIMES * median(took))


@pytest.fixture
def watched(bait: Bait) -> Iterator[None]:
    """Fail when the bait was opened or read (inotify(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(descriptor, os.fsencode(bait.file), OPENED_OR_READ) >= 0
    try:
        yield
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def busy_s() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def waited_s() -> float:
    """How long something on this machine has been waiting for a processor, or for a disk."""
    lines = [path.read_text().splitlines()[0] for path in PRESSURE]
    return sum(int(line.rpartition("total=")[2]) for line in lines) / 1e6


def outcome(path: Path, trusted: bool = False) -> str:
    """Probe and read the whole file; return a refusal's code, or READ."""
    try:
        with open_video(path, trusted=trusted) as video:
            for _ in video.read(Sampling(fps=2.0, max_pixels=8192)):
                pass
    except UserError as error:
        refusal = error
    else:
        return READ
    assert str(refusal).endswith((".", "says."))
    return refusal.code


def test_there_are_at_least_sixty_kinds() -> None:
    assert len(ALL) >= 60


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.rebuild)
        for name in sorted(ALL)
    ],
)
def test_each_kind_gets_its_answer(
    name: str,
    bait: Bait,
    busy_at_most: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    for folder in (here, temporary):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    video = tmp_path / "given" / "video.mp4"
    video.parent.mkdir()
    video = ALL[name].make(video, bait) or video
    before = {path.name for path in tmp_path.rglob("*")}
    others = psutil.Process().children()
    busy, waited, begun = busy_s(), waited_s(), time.monotonic()
    found = outcome(video)
    assert found in ALL[name].outcomes
    assert busy_s() - busy <= busy_at_most
    assert time.monotonic() - begun - (waited_s() - waited) <= WALL_SECONDS
    assert {path.name for path in tmp_path.rglob("*")} == before
    assert psutil.Process().children() == others


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    "name", sorted(name for name in ALL if "data" in name or "refer" in name or "linked" in name)
)
def test_a_trusted_file_reaches_nothing_either(name: str, bait: Bait, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video = ALL[name].make(path, bait) or path
    assert outcome(video, trusted=True) in ALL[name].outcomes

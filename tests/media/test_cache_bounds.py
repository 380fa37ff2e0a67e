"""How large a folder of clips may grow, and what goes first; also with several processes at once.

What an entry holds, and that it comes back unchanged, is in test_clip_cache.
"""

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from kinds import make_kind

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.cache.entry import entry_key
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Sampling, Source


@pytest.fixture
def short(tmp_path: Path) -> Source:
    return probe(make_kind("0.2 s", tmp_path)[0])


def use(source: Source, cache: ClipCache, fps: float) -> int:
    """Read one entry; return how many bytes it has (0 when it was not kept)."""
    sampling = Sampling(fps=fps, max_pixels=64 * 64)
    list(cached_video(source, sampling, cache=cache))
    path = cache.path(entry_key(source.sha256, sampling, 5.0))
    return path.stat().st_size if path.exists() else 0


def kept(source: Source, cache: ClipCache, rates: list[float]) -> list[float]:
    keys = {fps: entry_key(source.sha256, Sampling(fps, 64 * 64), 5.0) for fps in rates}
    return [fps for fps in rates if cache.path(keys[fps]).exists()]


def test_what_was_used_least_recently_goes_first(short: Source, tmp_path: Path) -> None:
    size = use(short, ClipCache.open(tmp_path / "measure"), 1.0)
    bound = round(3.5 * size)
    cache = ClipCache.open(tmp_path / "bounded", bound)
    rates = [1.0, 2.0, 3.0]
    for fps in rates:
        use(short, cache, fps)
        time.sleep(0.01)
    use(short, cache, 1.0)
    assert kept(short, cache, rates) == rates
    use(short, cache, 4.0)
    assert kept(short, cache, [*rates, 4.0]) == [1.0, 3.0, 4.0], "2.0 was used least recently"
    assert cache.total_bytes() <= bound


def test_the_bound_belongs_to_the_folder(short: Source, tmp_path: Path) -> None:
    ClipCache.open(tmp_path / "cache", max_bytes=10)
    cache = ClipCache.open(tmp_path / "cache")
    assert cache.max_bytes == 10
    assert use(short, cache, 1.0) == 0, "an entry larger than the bound is not kept"
    assert cache.total_bytes() == 0
    cache = cache.bounded(None)
    assert use(short, cache, 1.0) > 0
    assert ClipCache.open(tmp_path / "cache").max_bytes is None


def test_what_this_run_used_is_never_evicted(short: Source, tmp_path: Path) -> None:
    size = use(short, ClipCache.open(tmp_path / "measure"), 1.0)
    cache = ClipCache.open(tmp_path / "bounded", max_bytes=2 * size + 10)
    use(short, cache, 1.0)
    run = replace(cache, keep_since_ns=time.time_ns())
    use(short, run, 2.0)
    use(short, run, 3.0)
    assert kept(short, run, [1.0, 2.0, 3.0]) == [2.0, 3.0], "older ones made room"
    with pytest.raises(UserError) as caught:
        use(short, run, 4.0)
    assert caught.value.code == "cache_full"
    assert kept(short, run, [2.0, 3.0, 4.0]) == [2.0, 3.0]


def _read_and_check(source: Source, folder: Path, rounds: int, hashes: list[int]) -> None:
    cache = ClipCache.open(folder)
    for number in range(rounds):
        fps = 1.0 + (number * 7 + os.getpid()) % 5
        clips = list(cached_video(source, Sampling(fps, 64 * 64), cache=cache))
        found = sum(int(clip.frames_THWC.sum()) for clip in clips)
        assert found == hashes[int(fps) - 1]
        assert cache.max_bytes is not None
        assert cache.total_bytes() <= cache.max_bytes


def test_processes_read_fill_and_evict_at_once(short: Source, tmp_path: Path) -> None:
    """Three processes use five entries in a folder that holds about two of them."""
    folder = tmp_path / "cache"
    wanted = [list(read_video(short, Sampling(float(fps), 64 * 64))) for fps in range(1, 6)]
    sums = [sum(int(clip.frames_THWC.sum()) for clip in clips) for clips in wanted]
    largest = use(short, ClipCache.open(tmp_path / "measure"), 5.0)
    ClipCache.open(folder, max_bytes=2 * largest)
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=_read_and_check, args=(short, folder, 20, sums)) for _ in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    cache = ClipCache.open(folder)
    assert 0 < cache.total_bytes() <= 2 * largest
    assert not list((folder / "clips").glob(".writing-*"))

"""Clips from the cache are the clips of the file, bit for bit, whatever happens to the cache."""

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from kinds import make_kind
from numpy.typing import NDArray
from read_video import MadeVideo

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache, cached_segments, cached_video, reader_code
from mllm_affect.media.cache.entry import entry_key
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Clip, Sampling, Segment, Source

SAMPLING = Sampling(fps=4.0, max_pixels=192 * 96)


def no_reading(*_: object) -> Iterator[Clip]:
    raise AssertionError("decoded although the cache has it")


def same(one: Clip, other: Clip) -> bool:
    if (one.segment, one.sampling) != (other.segment, other.sampling):
        return False
    pairs: list[tuple[Any, Any]] = [
        (one.frames_THWC, other.frames_THWC),
        (one.times_T, other.times_T),
        (one.audio_S, other.audio_S),
    ]
    return all(
        a is b is None
        or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))
        for a, b in pairs
    )


def assert_same(found: list[Clip], wanted: list[Clip]) -> None:
    assert len(found) == len(wanted)
    assert all(same(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache.open(tmp_path / "cache")


@pytest.fixture
def short(tmp_path: Path) -> Source:
    return probe(make_kind("0.2 s", tmp_path)[0])


def entries(cache: ClipCache) -> list[Path]:
    return sorted(path for path in (cache.folder / "clips").rglob("*") if path.is_file())


def test_every_kind_comes_out_of_the_cache_as_it_went_in(
    video: MadeVideo, cache: ClipCache
) -> None:
    wanted = list(read_video(video.source, SAMPLING))
    assert_same(list(cached_video(video.source, SAMPLING, cache=cache)), wanted)
    again = list(cached_video(video.source, SAMPLING, cache=cache, read=no_reading))
    assert_same(again, wanted)
    assert again[0].frames_THWC.flags.writeable
    segments = cached_segments(video.source.sha256, SAMPLING, 5.0, cache)
    assert segments == tuple(clip.segment for clip in wanted)


def test_another_policy_is_another_entry(short: Source) -> None:
    keys = {
        entry_key(short.sha256, SAMPLING, 5.0),
        entry_key(short.sha256, replace(SAMPLING, fps=2.0), 5.0),
        entry_key(short.sha256, replace(SAMPLING, max_pixels=64 * 64), 5.0),
        entry_key(short.sha256, SAMPLING, 4.0),
        entry_key("0" * 64, SAMPLING, 5.0),
    }
    assert len(keys) == 5


def test_another_decoder_is_another_entry(short: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    before = entry_key(short.sha256, SAMPLING, 5.0)
    monkeypatch.setattr("av.library_versions", {"libavcodec": (1, 0, 0)})
    assert entry_key(short.sha256, SAMPLING, 5.0) != before


def test_a_copy_under_another_name_is_the_same_entry(
    short: Source, cache: ClipCache, tmp_path: Path
) -> None:
    wanted = list(cached_video(short, SAMPLING, cache=cache))
    copy = tmp_path / "copy.bin"
    copy.write_bytes(short.path.read_bytes())
    assert_same(list(cached_video(probe(copy), SAMPLING, cache=cache, read=no_reading)), wanted)


def test_stopping_early_leaves_nothing(plain: MadeVideo, cache: ClipCache) -> None:
    clips = cached_video(plain.source, SAMPLING, cache=cache)
    next(clips)
    clips.close()  # type: ignore[attr-defined]
    assert entries(cache) == []


def test_a_failing_decoder_leaves_nothing(short: Source, cache: ClipCache) -> None:
    def breaking(*how: Any) -> Iterator[Clip]:
        yield from read_video(*how)
        raise UserError("unreadable_video", "It ends here.")

    with pytest.raises(UserError):
        list(cached_video(short, SAMPLING, cache=cache, read=breaking))
    assert entries(cache) == []


def test_a_part_without_a_form_is_refused_and_not_lost(short: Source, cache: ClipCache) -> None:
    def with_words(*_: object) -> Iterator[Clip]:
        for clip in read_video(short, SAMPLING):
            yield replace(clip, audio_S="spoken words")  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="audio_S"):
        list(cached_video(short, SAMPLING, cache=cache, read=with_words))
    assert entries(cache) == []


@dataclass(frozen=True)
class Loudness:
    """The mean of the absolute sound, which has no form as arrays."""

    scale: int = 1

    def listen(self, source: Source) -> "Loudness":
        return self

    def hear(self, segment: Segment, audio_S: NDArray[np.int16] | None) -> float | None:
        return None if audio_S is None else float(np.abs(audio_S).mean()) * self.scale


@dataclass(frozen=True)
class KeptLoudness(Loudness):
    """The same with a form."""

    kept_as: ClassVar[str] = "loudness-1"

    def pack(self, made: float | None) -> dict[str, NDArray[np.float64]]:
        return {} if made is None else {"mean": np.array(made)}

    def unpack(self, arrays: Mapping[str, NDArray[np.float64]]) -> float | None:
        return float(arrays["mean"]) if arrays else None


def test_parts_with_a_form_are_kept_with_the_clips(tmp_path: Path, cache: ClipCache) -> None:
    source = probe(make_kind("audio starts late", tmp_path)[0])
    parts = [KeptLoudness(), KeptLoudness(scale=2)]
    wanted = list(read_video(source, SAMPLING, 5.0, parts))
    made = [list(cached_video(source, SAMPLING, 5.0, parts, cache=cache))]
    made += [list(cached_video(source, SAMPLING, 5.0, parts, cache=cache, read=no_reading))]
    for clips in made:
        assert_same(clips, wanted)
        for part in parts:
            assert [clip.parts[part] for clip in clips] == [clip.parts[part] for clip in wanted]
    assert wanted[0].parts[parts[0]] is None
    assert wanted[2].parts[parts[1]] == 2 * (wanted[2].parts[parts[0]] or 0) > 0


def test_parts_without_a_form_are_made_each_time(short: Source, cache: ClipCache) -> None:
    list(cached_video(short, SAMPLING, cache=cache))
    part = Loudness()
    for _ in range(2):
        (clip,) = cached_video(short, SAMPLING, 5.0, [part], cache=cache)
        assert part in clip.parts
    (clip,) = cached_video(short, SAMPLING, cache=cache, read=no_reading)
    assert part not in clip.parts


def test_any_changed_byte_is_noticed_or_harmless(short: Source, cache: ClipCache) -> None:
    wanted = list(cached_video(short, SAMPLING, cache=cache))
    (path,) = entries(cache)
    whole = path.read_bytes()
    remade = 0

    def counted(*how: Any) -> Iterator[Clip]:
        nonlocal remade
        remade += 1
        return read_video(*how)

    places = range(0, len(whole), max(1, len(whole) // 60))
    ends = range(len(whole) - 600, len(whole), 17)
    for place in (*places, *ends):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        assert_same(list(cached_video(short, SAMPLING, cache=cache, read=counted)), wanted)
        path.write_bytes(whole)
    assert remade > len(places) - 10, "damage went unnoticed"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_off_entry_is_made_again(share: float, plain: MadeVideo, cache: ClipCache) -> None:
    wanted = list(cached_video(plain.source, SAMPLING, cache=cache))
    (path,) = entries(cache)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    assert cached_segments(plain.source.sha256, SAMPLING, 5.0, cache) is None
    assert_same(list(cached_video(plain.source, SAMPLING, cache=cache)), wanted)
    assert path.read_bytes() == whole, "the same clips give the same bytes"


def test_damage_in_the_second_clip_is_mended_on_the_way(plain: MadeVideo, cache: ClipCache) -> None:
    wanted = list(cached_video(plain.source, SAMPLING, cache=cache))
    (path,) = entries(cache)
    damaged = bytearray(path.read_bytes())
    damaged[wanted[0].frames_THWC.nbytes + wanted[0].audio_S.nbytes + 5_000] ^= 1  # type: ignore[union-attr]
    path.write_bytes(damaged)
    assert_same(list(cached_video(plain.source, SAMPLING, cache=cache)), wanted)
    assert_same(list(cached_video(plain.source, SAMPLING, cache=cache, read=no_reading)), wanted)


def test_the_leavings_of_a_dead_writer_are_swept_and_those_of_a_live_one_are_not(
    plain: MadeVideo, cache: ClipCache
) -> None:
    living = cached_video(plain.source, SAMPLING, cache=cache)
    next(living)
    dead = cache.folder / "clips" / ".writing-dead"
    dead.write_bytes(b"half an entry")
    cache.sweep()
    assert not dead.exists()
    assert len(list(living)) == 2
    assert len(list(cached_video(plain.source, SAMPLING, cache=cache, read=no_reading))) == 3


@pytest.mark.parametrize(
    "settings", ["", "{}", '{"format": 99, "max_bytes": 1}', '{"format": 1, "max_bytes": "a"}']
)
def test_a_folder_that_is_no_cache_is_refused(settings: str, tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text(settings)
    with pytest.raises(UserError) as caught:
        ClipCache.open(tmp_path)
    assert caught.value.code == "bad_cache"


def test_a_file_as_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(UserError) as caught:
        ClipCache.open(tmp_path / "cache")
    assert caught.value.code == "bad_cache"


def _fill_with_little_room(source: Source, folder: Path, answer: "os.PathLike[str]") -> None:
    cache = ClipCache.open(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        list(cached_video(source, SAMPLING, cache=cache))
        said = "no error"
    except UserError as error:
        said = error.code
    Path(answer).write_text(json.dumps([said, [path.name for path in entries(cache)]]))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(plain: MadeVideo, tmp_path: Path) -> None:
    """A bound on file size stands for the full disk: the write fails in the same place."""
    answer = tmp_path / "answer.json"
    child = multiprocessing.get_context("spawn").Process(
        target=_fill_with_little_room, args=(plain.source, tmp_path / "cache", answer)
    )
    child.start()
    child.join(60)
    assert json.loads(answer.read_text()) == ["cache_not_written", []]


LOADED = (
    "import sys, mllm_affect.media.reader;"
    "print(*(one.__file__ for name, one in sys.modules.items() if name.startswith('mllm_affect.')))"
)


def test_every_module_that_makes_a_clip_counts_for_an_entry() -> None:
    only_refuse = {"__init__.py", "limits.py", "refusals.py"}
    words = [sys.executable, "-c", LOADED]
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    loaded = {Path(name) for name in answer.split() if Path(name).is_relative_to(reader_code.MEDIA)}
    loaded = {path for path in loaded if path.name not in only_refuse}
    assert len(loaded) > 10
    assert loaded <= set(reader_code.modules())


def test_other_reading_code_is_another_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = entry_key("0" * 64, Sampling(), 5.0)
    shutil.copytree(reader_code.MEDIA, tmp_path / "media")
    monkeypatch.setattr(reader_code, "MEDIA", tmp_path / "media")
    reader_code.reader_code.cache_clear()
    try:
        assert entry_key("0" * 64, Sampling(), 5.0) == key
        with (tmp_path / "media/decoding/audio.py").open("a") as code:
            code.write("BLOCK_SECONDS = 2\n")
        reader_code.reader_code.cache_clear()
        assert entry_key("0" * 64, Sampling(), 5.0) != key
    finally:
        reader_code.reader_code.cache_clear()


def test_threads_that_want_the_same_clips_decode_them_once(
    plain: MadeVideo, tmp_path: Path, cache: ClipCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, decoded = probe(plain.path), list[int]()

    def slowly(*asked: Any) -> Iterator[Clip]:
        decoded.append(threading.get_ident())
        time.sleep(0.3)
        yield from read_video(*asked)

    def read(_number: int) -> list[Clip]:
        return list(cached_video(video, SAMPLING, cache=cache, read=slowly))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(4)))
    assert len(decoded) == 1
    assert all(
        same(one, other) for clips in found for one, other in zip(clips, found[0], strict=True)
    )
    # Who takes the clips slowly does not hold up the others for ever.
    other = ClipCache.open(tmp_path / "other")
    monkeypatch.setattr(sys.modules["mllm_affect.media.cache.cached_video"], "PATIENCE_S", 0.1)
    slow = cached_video(video, SAMPLING, cache=other, read=slowly)
    first = next(slow)
    assert len(found[0]) > 1, "its maker is not at its end"
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(lambda: list(cached_video(video, SAMPLING, cache=other, read=slowly)))
        assert len(beside.result(20)) == len(found[0])
    assert same(first, found[0][0])
    assert len(decoded) == 3

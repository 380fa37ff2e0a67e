"""A short file is read once: its packets stay in memory, its sound is decoded meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media import looking
from mllm_affect.media.decoding import carried_out, held
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.source import Chosen
from mllm_affect.media.types import Clip, Sampling, Source

SMALL = Sampling(fps=2.0, max_pixels=64 * 64)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Twelve seconds that are one group of pictures, with more sound than goes in one batch."""
    path = tmp_path_factory.mktemp("held") / "talk.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=12", "-f", "lavfi", "-i",
               "sine=f=300:d=12", "-c:v", "libx264", "-preset", "ultrafast", "-g", "1000",
               "-c:a", "aac", str(path))  # fmt: skip
    return probe(path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What reading opens."""
    paths: list[Path] = []

    @contextmanager
    def noted(path: Path, chosen: Chosen) -> Iterator[object]:
        paths.append(path)
        with open_media(path, chosen) as container:
            yield container

    for module in (looking, carried_out):
        monkeypatch.setattr(module, "open_media", noted)
    return paths


def read(source: Source) -> list[Clip]:
    return list(read_video(source, SMALL))


def assert_same(ones: list[Clip], others: list[Clip]) -> None:
    assert len(ones) == len(others) >= 2
    for one, other in zip(ones, others, strict=True):
        assert one.segment == other.segment
        assert np.array_equal(one.frames_THWC, other.frames_THWC)
        assert one.audio_S is not None
        assert other.audio_S is not None
        assert np.array_equal(one.audio_S, other.audio_S)


def test_a_short_file_is_opened_once(source: Source, opened: list[Path]) -> None:
    assert read(source)
    assert opened == [source.path]


@pytest.mark.parametrize(("limit", "value"), [("HELD_PACKETS", 400), ("HELD_BYTES", 20_000)])
def test_a_longer_one_is_opened_again_and_gives_the_same(
    limit: str, value: int, source: Source, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = read(source)
    opened.clear()
    monkeypatch.setattr(held, limit, value)
    assert_same(short, read(source))
    assert len(opened) == 2


def test_sound_decoded_ahead_is_that_decoded_when_asked_for(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "usable_cores", lambda: 2)
    ahead = read(source)
    monkeypatch.setattr(looking, "usable_cores", lambda: 1)
    assert_same(ahead, read(source))


def test_sound_is_decoded_beside_the_first_pictures(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "usable_cores", lambda: 2)
    with looking.looked_at(source) as look:
        assert look is not None
        assert look.held is not None
        assert not look.held.sound._begun
        assert next(look.held.pictures()).size
        assert look.held.sound._begun
        left = sum(1 for _ in look.held.sound._packets)
    assert 1 <= left <= held.AT_A_TIME


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_breaks_off_gives_the_same(
    share: float, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.mkv"
    content = source.path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    broken = probe(path)
    short = read(broken)
    monkeypatch.setattr(held, "HELD_PACKETS", 10)
    assert_same(short, read(broken))


def test_who_stops_reading_leaves_no_thread_and_no_open_file(source: Source) -> None:
    clips = read_video(source, SMALL)
    next(clips)
    clips.close()  # type: ignore[attr-defined]
    assert not [one for one in threading.enumerate() if one.name.startswith(THREAD)]
    links = [path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert source.path.resolve() not in links

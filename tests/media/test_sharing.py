"""One opening serves pictures and sound that lie near each other; one scaler, many pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import Made, regular, write
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.decoding import carried_out, held, interleaved
from mllm_affect.media.decoding.interleaved import Interleaved
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.scaling import scaled
from mllm_affect.media.decoding.stream_choice import main_audio, main_video
from mllm_affect.media.looking import timeline_of
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.source import Chosen
from mllm_affect.media.types import Sampling, Source

SMALL = Sampling(fps=2.0, max_pixels=64 * 64)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Twelve seconds with sound."""
    made = Made(regular(300, 25), (Fraction(0), Fraction(12)))
    return probe(write(tmp_path_factory.mktemp("near") / "near.mp4", made))


def is_near(source: Source) -> bool:
    timeline = timeline_of(source, lambda packet: None)
    assert timeline is not None
    return timeline.near


def openings(source: Source, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a file too long to hold is opened to read its clips, besides the look."""
    count = 0

    @contextmanager
    def counting(path: Path, chosen: Chosen) -> Iterator[object]:
        nonlocal count
        count += 1
        with open_media(path, chosen) as container:
            yield container

    monkeypatch.setattr(carried_out, "open_media", counting)
    monkeypatch.setattr(held, "HELD_PACKETS", 10)
    assert list(read_video(source, SMALL))
    return count


def test_what_lies_near_is_opened_once(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_near(source)
    assert openings(source, monkeypatch) == 1


def test_a_silent_video_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = probe(write(tmp_path / "silent.mp4", Made(regular(75, 25))))
    assert openings(silent, monkeypatch) == 1


def test_what_lies_apart_is_opened_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(regular(300, 25), (Fraction(6), Fraction(12)))
    late = probe(write(tmp_path / "late.mkv", made))
    monkeypatch.setattr(interleaved, "KEPT_BYTES", 2_000)
    assert not is_near(late)
    assert openings(late, monkeypatch) == 2


def test_both_ways_give_the_same_clips(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_PACKETS", 10)
    together = list(read_video(source, SMALL))
    monkeypatch.setattr(interleaved, "APART_SECONDS", -1.0)
    assert not is_near(source)
    for one, other in zip(together, read_video(source, SMALL), strict=True):
        assert one.segment == other.segment
        assert np.array_equal(one.frames_THWC, other.frames_THWC)
        assert one.audio_S is not None
        assert np.array_equal(one.audio_S, other.audio_S)


def test_each_stream_gets_its_packets_in_order_whoever_asks_first(source: Source) -> None:
    with open_media(source.path) as container:
        video, audio = main_video(container), main_audio(container)
        assert video is not None
        assert audio is not None
        shared = Interleaved(container, [video, audio])
        sound = [packet.dts for packet in shared.of(audio) if packet.size]
        pictures = [packet.dts for packet in shared.of(video) if packet.size]
    with open_media(source.path) as container:
        alone = [packet.dts for packet in container.demux(video=0) if packet.size]
    assert pictures == alone
    assert len(sound) > 100
    assert sound == sorted(sound)  # type: ignore[type-var]


def test_a_scaler_that_is_used_again_scales_as_a_fresh_one(tmp_path: Path) -> None:
    path = tmp_path / "noise.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=322x182:r=5:d=2,noise=alls=20:allf=t",
               "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path))  # fmt: skip
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    for width, height, form in ((64, 32, "rgb24"), (96, 96, "gray"), (640, 352, "rgb24")):
        for picture in pictures:
            first = "yuv422p" if form == "rgb24" else form
            halved = picture.reformat(width, height, first, interpolation="AREA")
            fresh = halved.reformat(format=form)
            again = scaled(picture, width, height, form)
            assert np.array_equal(fresh.to_ndarray(), again.to_ndarray())
            scaled(picture, 32, 32, "gray")

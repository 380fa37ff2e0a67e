"""Recordings joined in one file follow each other; where that cannot be told, a refusal says so."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ebml import SCALE, block, cluster, grey, grey_track, matroska, sound_track, whole
from heard import best_match, in_one_piece
from made_videos import Made, number_of, onsets, regular, write
from test_standing_pictures import same, tiles
from timed_files import joined

from mllm_affect.errors import UserError
from mllm_affect.media.cutting import frame_times
from mllm_affect.media.decoding.clock_restarts import RestartFinder
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.segment import segment
from mllm_affect.media.types import AUDIO_RATE, Sampling, Source

F = Fraction
TICK = F(1, 1_000)
SAMPLING = Sampling(fps=2.0, max_pixels=192 * 96)


def one_after_the_other(folder: Path, *parts: Made) -> Source:
    """Several files in one."""
    path = folder / "all.mkv"
    contents = [write(folder / "one.mkv", part).read_bytes() for part in parts]
    path.write_bytes(b"".join(contents))
    return probe(path)


def part(seconds: int, start: F | int = 0) -> Made:
    """Numbered frames from 0 on, clicks half a second after each second but the last."""
    clicks = [start + F(2 * second + 1, 2) for second in range(seconds)]
    return Made(
        regular(25 * seconds, 25, start), (F(start), F(start) + seconds), clicks,
        sound_codec="pcm_s16le",
    )  # fmt: skip


def greys(picture_s: Callable[[float], float], sound_s: Callable[[float], float]) -> bytes:
    """Twelve seconds of grey pictures and noise, each with a clock of its own."""
    noise = np.random.default_rng(0)
    clusters = []
    for number in range(12 * 25):
        picture, sound = (round(1_000 * clock(number / 25)) for clock in (picture_s, sound_s))
        samples = noise.integers(0, 256, 320, dtype=np.uint8).tobytes()
        clusters.append(cluster(picture, [block(1, 0, grey(number))]))
        clusters.append(cluster(sound, [block(2, 0, samples)]))
    tracks = [grey_track(), sound_track("A_PCM/INT/LIT", 8_000.0, 1)]
    return matroska(tracks, b"".join(clusters), [whole(SCALE, 1_000_000)])


@pytest.mark.parametrize("suffix", ["webm", "mkv", "mp4"])
def test_joined_recordings_last_as_long_as_both(suffix: str, tmp_path: Path) -> None:
    source = probe(joined(tmp_path, suffix))
    clips = list(read_video(source, SAMPLING))
    segments = tuple(clip.segment for clip in clips)
    tiles(segments, 0.0, 12.0, 0.06)
    assert sum(part.num_frames for part in segments) == 288
    assert all([one.code for one in part.warnings] == ["clock_restarts"] for part in segments)
    assert segment(source) == segments
    assert np.all(np.diff(frame_times(source)) > 0.03)
    one = probe(joined(tmp_path, suffix, times=1))
    heard_S = in_one_piece(clips)
    alone_S = in_one_piece(read_video(one, SAMPLING))[8_000:80_000]
    for begin_s in (0.5, 6.5):
        begin = round(begin_s * AUDIO_RATE)
        match, moved_s = best_match(alone_S, heard_S[begin:][: len(alone_S)])
        assert match > 0.95
        assert abs(moved_s) < (0.06 if begin_s > 6 else 0.01)


@pytest.mark.parametrize("starts", [(0, 0), (0, 3), (10, 0), (100, 50)])
def test_pictures_and_sound_are_moved_together(starts: tuple[int, int], tmp_path: Path) -> None:
    source = one_after_the_other(tmp_path, part(5, starts[0]), part(7, starts[1]))
    clips = list(read_video(source, SAMPLING))
    tiles(tuple(clip.segment for clip in clips), starts[0], starts[0] + 12.0, 0.03)
    heard = [c.segment.start_s + at for c in clips for at in onsets(c.audio_S)]  # type: ignore[arg-type]
    expected = [starts[0] + second + 0.5 for second in range(12)]
    assert heard == pytest.approx(expected, abs=0.01)
    for clip in clips:
        times = [number_of(frame) / 25 for frame in clip.frames_THWC]
        since_T = clip.times_T - starts[0]
        assert times == pytest.approx(np.where(since_T < 4.999, since_T, since_T - 5), abs=0.003)
    known = list(read_clips(source, segment(source), SAMPLING))
    assert all(map(same, clips, known))
    with IsolatedVideo(source) as there:
        assert there.segment() == segment(source)
        assert all(map(same, clips, there.read(SAMPLING)))


def test_a_clock_that_wraps_goes_on(tmp_path: Path) -> None:
    wrap_s = 2**33 / 90_000
    path = tmp_path / "wraps.mkv"
    path.write_bytes(greys(*[lambda s: (wrap_s - 6 + s) % wrap_s] * 2))
    segments = segment(probe(path))
    tiles(segments, wrap_s - 6, wrap_s + 6, 0.05)
    assert sum(one.num_frames for one in segments) == 300


@pytest.mark.parametrize("alone", ["sound", "pictures"])
def test_a_clock_that_restarts_in_one_stream_alone_is_refused(alone: str, tmp_path: Path) -> None:
    path = tmp_path / "alone.mkv"
    clocks = {"pictures": lambda s: s, "sound": lambda s: s}
    clocks[alone] = lambda s: s % 6
    path.write_bytes(greys(clocks["pictures"], clocks["sound"]))
    source = probe(path)
    for read in (segment, lambda one: list(read_video(one, SAMPLING)), frame_times):
        with pytest.raises(UserError) as caught:
            read(source)  # type: ignore[operator]
        assert caught.value.code == "clock_restarts"
        assert f"in its {alone} alone" in caught.value.sentence


@dataclass
class Piece:
    """As much of a packet as the finder looks at."""

    stream: Any
    pts: int
    is_keyframe: bool = True
    dts: int | None = None
    duration: int = 40
    size: int = 1
    time_base: Fraction = TICK
    is_discard: bool = False


@dataclass(frozen=True)
class Stream:
    index: int


def test_order_of_coding_is_no_restart() -> None:
    video = Stream(0)
    finder = RestartFinder(video, "x")  # type: ignore[arg-type]
    for pts, key in ((0, True), (4_000, False), (2_000, False), (1_000, False), (8_000, True)):
        finder.see(Piece(video, pts, key))  # type: ignore[arg-type]
    assert finder.moves().times == 0


def test_too_many_restarts_are_refused() -> None:
    video = Stream(0)
    finder = RestartFinder(video, "x")  # type: ignore[arg-type]
    pieces = [Piece(video, number % 2 * 5_000) for number in range(1_000)]
    with pytest.raises(UserError) as caught:
        deque(map(finder.see, pieces))  # type: ignore[arg-type]
    assert caught.value.code == "clock_restarts"

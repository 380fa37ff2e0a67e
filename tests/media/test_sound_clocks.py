"""Sound stays whole and in place, whatever its timestamps are like."""

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from heard import best_match, in_one_piece, longest_hole
from made_videos import Made, onsets, regular, write
from test_standing_pictures import same
from timed_files import audio_retimed, wobbling

from mllm_affect.media.decoding.sound_clock import Piece, SoundClock
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.types import AUDIO_RATE, Clip, Sampling

F = Fraction
SAMPLING = Sampling(fps=1.0, max_pixels=4096)
LENGTH_S = 1024 / 48_000


def clips_of(path: Path) -> list[Clip]:
    return list(read_video(probe(path), SAMPLING))


def codes(clips: list[Clip]) -> set[str]:
    return {warning.code for clip in clips for warning in clip.segment.warnings}


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
@pytest.mark.parametrize("by_s", [0.003, 0.010, 0.015])
def test_a_wobbling_clock_tears_nothing(suffix: str, by_s: float, tmp_path: Path) -> None:
    clips = clips_of(wobbling(tmp_path, suffix, by_s))
    steady_S = in_one_piece(clips_of(tmp_path / f"steady.{suffix}"))
    heard_S = in_one_piece(clips)
    match, moved_s = best_match(steady_S, heard_S)
    assert match > 0.97
    assert abs(moved_s) < 0.003
    assert longest_hole(heard_S[4_800:-4_800]) < max(0.002, 1.1 * longest_hole(steady_S))
    assert ("sound_wobbles" in codes(clips)) == (by_s > 0.005)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
@pytest.mark.parametrize("by_s", [0.0, 0.015])
def test_sound_that_is_missing_is_silent_and_the_rest_stays(
    suffix: str, by_s: float, tmp_path: Path
) -> None:
    clips = clips_of(wobbling(tmp_path, suffix, by_s, gap_s=(6.0, 6.3)))
    steady_S = in_one_piece(clips_of(tmp_path / f"steady.{suffix}"))
    heard_S = in_one_piece(clips)
    for span in (slice(3_200, 95_000), slice(102_400, 180_000)):
        match, moved_s = best_match(steady_S[span], heard_S[span])
        assert match > 0.95
        assert abs(moved_s) < 0.005
    silent_S = heard_S[round(6.03 * AUDIO_RATE) : round(6.26 * AUDIO_RATE)]
    assert np.abs(silent_S).max() == 0


def test_clocks_that_drift_apart_stay_within_ten_milliseconds(tmp_path: Path) -> None:
    clicks = [F(second) + F(1, 2) for second in range(60)]
    made = Made(regular(300, 5), (F(0), F(60)), clicks, sound_codec="pcm_s16le", last_s=F(1, 5))
    path = write(tmp_path / "steady.mkv", made)
    drifted = audio_retimed(path, tmp_path / "drifts.mkv", lambda s: s * 1.0004)
    clips = clips_of(drifted)
    heard = [c.segment.start_s + at for c in clips for at in onsets(c.audio_S)]  # type: ignore[arg-type]
    assert len(heard) == 60
    assert heard == pytest.approx([float(click) * 1.0004 for click in clicks], abs=0.010)
    assert "sound_drifts" in codes(clips)


def test_every_way_of_reading_hears_the_same(tmp_path: Path) -> None:
    source = probe(wobbling(tmp_path, by_s=0.015, gap_s=(6.0, 6.3)))
    clips = list(read_video(source, SAMPLING))
    for clip in clips:
        (alone,) = read_clips(source, [clip.segment], SAMPLING)
        assert np.array_equal(alone.audio_S, clip.audio_S)  # type: ignore[arg-type]
    with IsolatedVideo(source) as there:
        assert all(map(same, clips, there.read(SAMPLING)))


def test_sound_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "hurt.mp4", Made(regular(150, 25), (F(0), F(6)), [F(1), F(5)]))
    assert "sound_damaged" not in codes(clips_of(path))
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        pieces = [(p.pos, p.size) for p in container.demux(audio=0) if p.size and p.pos]
    for place, size in pieces[40:60]:
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    assert "sound_damaged" in codes(clips_of(path))


def placed(begins_s: list[float], length_s: float = LENGTH_S) -> tuple[list[float], float]:
    """Where pieces of sound are put, and by how much all of them were stretched."""
    clock: SoundClock[int] = SoundClock()
    found, stretched_s = [], 0.0
    pieces = [Piece(number, at, length_s) for number, at in enumerate(begins_s)]
    for put in [*(p for piece in pieces for p in clock.see(piece)), *clock.finish()]:
        assert put.sound == len(found)
        found.append(put.at_s)
        stretched_s += put.stretch_s
    return found, stretched_s


def steadily(count: int, change: Callable[[int], float] = lambda _: 0.0) -> list[float]:
    return [number * LENGTH_S + change(number) for number in range(count)]


def test_rounded_timestamps_are_followed_from_the_first_on() -> None:
    found, stretched_s = placed(steadily(500, lambda n: 0.001 * (n % 3)))
    assert found == pytest.approx(steadily(500))
    assert stretched_s == 0


def test_lost_packets_are_gaps_where_they_were_lost() -> None:
    lost = [number for number in range(400) if number % 17 not in (3, 11)]
    begins = [number * LENGTH_S for number in lost]
    found, stretched_s = placed(begins)
    assert found == pytest.approx(begins)
    assert stretched_s == 0


def test_one_wrong_timestamp_moves_nothing() -> None:
    found, _ = placed(steadily(300, lambda n: 0.5 if n == 150 else 0.0))
    assert found == pytest.approx(steadily(300))


@pytest.mark.parametrize("seed", range(2))
def test_an_hour_of_drift_and_wobble_stays_within_ten_milliseconds(seed: int) -> None:
    draw = random.Random(seed)
    right = steadily(168_750, lambda n: n * LENGTH_S * 1e-4)
    begins = [at + draw.uniform(-0.015, 0.015) for at in right]
    found, stretched_s = placed(begins)
    assert np.abs(np.array(found) - right).max() < 0.010
    assert stretched_s == pytest.approx(0.36, abs=0.01)


def test_the_end_comes_out_however_little_there_is() -> None:
    for count in range(30):
        found, _ = placed(steadily(count, lambda n: 0.3 if n > 10 else 0.0))
        assert found == pytest.approx(steadily(count, lambda n: 0.3 if n > 10 else 0.0))

"""Clip files of videos with odd times hold what their segments show and let hear."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from heard import best_match, in_one_piece
from made_videos import Made, number_of, onsets, regular, write
from test_restarting_clocks import one_after_the_other, part
from test_standing_pictures import still
from timed_files import joined, wobbling
from wheel_ffmpeg import shown_frames

from mllm_affect.errors import UserError
from mllm_affect.media.export.clip_files import write_clips
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling, Segment, Source

F = Fraction
SAMPLING = Sampling(fps=2.0, max_pixels=192 * 96)
PLAIN = {"sound_codec": "pcm_s16le"}


def heard_in(path: Path, segment_: Segment) -> list[float]:
    """When clicks are heard in a clip file, on the source's timeline."""
    clips = list(read_video(probe(path), SAMPLING))
    return [segment_.start_s + at / 16_000 for at in clicks(in_one_piece(clips))]


def clicks(sound_S: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[float]:
    return [at * 16_000 for at in onsets(sound_S.astype(np.int16))]


def written(source: Source, folder: Path) -> list[tuple[Segment, Path, list[int]]]:
    """Every segment with its file and the numbers of the frames in that."""
    segments = segment(source)
    paths = write_clips(source, segments, folder / "clips", trusted=True)
    return [
        (one, path, [number_of(frame) for frame in shown_frames(path, 104, 48)])
        for one, path in zip(segments, paths, strict=True)
    ]


@pytest.mark.parametrize(("suffix", "more"), [("mp4", {}), ("mkv", PLAIN)])
def test_a_picture_that_stands_still_is_repeated(
    suffix: str, more: dict[str, object], tmp_path: Path
) -> None:
    source = still(tmp_path, suffix, **more)
    heard: list[float] = []
    for one, path, numbers in written(source, tmp_path):
        heard += heard_in(path, one)
        if one.stands_still:
            assert set(numbers) == {49}
            (again,) = segment(probe(path))
            assert again.duration_s == pytest.approx(one.duration_s, abs=0.1)
        else:
            first = one.first_frame
            assert numbers == list(range(first, first + one.num_frames))
    assert heard == pytest.approx([1, 3, 5, 7, 9, 11], abs=0.025)


@pytest.mark.parametrize("sound_s", [(F(0), F(9)), (F(7), F(9)), None])
def test_sound_beside_the_pictures_is_in_the_clips(
    sound_s: tuple[F, F] | None, tmp_path: Path
) -> None:
    start = 7 if sound_s == (F(0), F(9)) else 7 - F(1, 25)
    times = regular(25, 25, start=start)
    at = [] if sound_s is None else [sound_s[1] - F(1, 2)]
    made = Made(times, sound_s, at, sound_codec="pcm_s16le")
    source = probe(write(tmp_path / "beside.mkv", made))
    heard: list[float] = []
    for one, path, numbers in written(source, tmp_path):
        heard += heard_in(path, one) if sound_s else []
        expected = range(one.shown_frame, one.first_frame + one.num_frames)
        assert set(numbers) == set(expected)
    assert heard == pytest.approx([float(click) for click in at], abs=0.025)


def test_joined_recordings_are_cut_where_they_were_read(tmp_path: Path) -> None:
    source = one_after_the_other(tmp_path, part(5), part(7, 3))
    heard: list[float] = []
    for one, path, numbers in written(source, tmp_path):
        heard += heard_in(path, one)
        frames = range(one.first_frame, one.first_frame + one.num_frames)
        assert numbers == [frame if frame < 125 else frame - 125 for frame in frames]
    assert heard == pytest.approx([second + 0.5 for second in range(12)], abs=0.03)


@pytest.mark.parametrize("suffix", ["webm", "mkv"])
def test_joined_live_recordings_are_cut_too(suffix: str, tmp_path: Path) -> None:
    source = probe(joined(tmp_path, suffix))
    segments = segment(source)
    paths = write_clips(source, segments, tmp_path / "clips")
    whole_S = in_one_piece(read_video(source, SAMPLING))
    for one, path in zip(segments, paths, strict=True):
        clips = list(read_video(probe(path), SAMPLING))
        assert sum(clip.segment.num_frames for clip in clips) == one.num_frames
        cut_S = in_one_piece(clips)
        read_S = whole_S[round(one.start_s * 16_000) :][: len(cut_S)]
        # Before and after the place where the clock restarts, of which the clip knows nothing: its
        # sound goes on there without the 2 ms by which the second recording begins late.
        for window in (slice(0, 15_000), slice(-15_000, None)):
            match, moved_s = best_match(cut_S[window], read_S[window])
            assert match > 0.9
            assert abs(moved_s) < 0.03


def test_fragments_that_ffmpeg_leaves_out_are_refused_in_one_sentence(tmp_path: Path) -> None:
    source = probe(joined(tmp_path, "mp4"))
    with pytest.raises(UserError) as caught:
        write_clips(source, segment(source), tmp_path / "clips", trusted=True)
    assert caught.value.code == "clip_failed"


def test_a_gap_in_wobbling_sound_stays_in_its_clip(tmp_path: Path) -> None:
    source = probe(wobbling(tmp_path, by_s=0.015, gap_s=(6.0, 6.3)))
    segments = segment(source)
    paths = write_clips(source, segments, tmp_path / "clips", trusted=True)
    whole_S = in_one_piece(read_video(source, SAMPLING))
    for one, path in zip(segments, paths, strict=True):
        own_S = in_one_piece(read_video(probe(path), SAMPLING))
        begin, size = round(one.start_s * 16_000), len(own_S) - 3_200
        for at in (3_200, size - 16_000) if size > 32_000 else (3_200,):
            match, moved_s = best_match(own_S[at:][:16_000], whole_S[begin + at :][:16_000])
            assert match > 0.9
            assert abs(moved_s) < 0.03

"""A clip shows the right frames at the right times, with the sound that belongs to them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from kinds import KINDS, make_kind
from made_videos import Made, number_of, numbered, onsets, regular, write
from numpy.typing import NDArray
from read_video import MadeVideo
from wheel_ffmpeg import run_ffmpeg, shown_frames

from mllm_affect.errors import UserError
from mllm_affect.media.decoding.audio import HOP, SHORTEST
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.segment import segment
from mllm_affect.media.types import AUDIO_RATE, Clip, Sampling

SAMPLING = Sampling(fps=4.0, max_pixels=192 * 96)
TEN_MS = 0.010


def clips_of(video: MadeVideo, sampling: Sampling = SAMPLING) -> list[Clip]:
    return list(read_clips(video.source, video.segments, sampling))


def test_every_segment_has_its_clip(video: MadeVideo) -> None:
    assert [clip.segment for clip in clips_of(video)] == list(video.segments)


def test_cutting_while_reading_gives_the_same(video: MadeVideo) -> None:
    known, at_once = clips_of(video), list(read_video(video.source, SAMPLING))
    assert [clip.segment for clip in at_once] == list(video.segments)
    for one, other in zip(known, at_once, strict=True):
        assert np.array_equal(one.frames_THWC, other.frames_THWC)
        assert np.array_equal(one.times_T, other.times_T)
        assert (one.audio_S is None) == (other.audio_S is None)
        if one.audio_S is not None:
            assert np.array_equal(one.audio_S, other.audio_S)


def test_a_clip_has_the_form_that_the_model_takes(video: MadeVideo) -> None:
    for clip in clips_of(video):
        count, height, width, channels = clip.frames_THWC.shape
        assert clip.frames_THWC.dtype == np.uint8
        assert (count % 2, height % 32, width % 32, channels) == (0, 0, 0, 3)
        assert count >= 2
        assert height * width <= SAMPLING.max_pixels
        assert clip.times_T.shape == (count,)
        expected = clip.segment.duration_s * SAMPLING.fps
        assert abs(count - expected) <= 2


def test_pictures_are_those_shown_at_their_times(video: MadeVideo) -> None:
    times = [float(time) for time in video.made.times_s]
    for clip in clips_of(video):
        first, count = clip.segment.shown_frame, max(1, clip.segment.num_frames)
        for number, time in zip(map(number_of, clip.frames_THWC), clip.times_T, strict=True):
            assert first <= number < first + count, "a frame of another segment"
            shown = max(times[number], clip.segment.start_s)
            assert shown == pytest.approx(time, abs=0.0011)


def test_frames_are_spread_evenly(plain: MadeVideo) -> None:
    clip = clips_of(plain)[0]
    wanted = clip.segment.start_s + np.arange(20) / SAMPLING.fps
    assert np.all(clip.times_T <= wanted + 1e-9), "a frame from the future"
    assert np.all(clip.times_T > wanted - 1 / 25 - 1e-9), "not the frame shown then"


def test_sound_lies_within_ten_milliseconds_of_its_place(video: MadeVideo) -> None:
    heard = []
    for clip in clips_of(video):
        if clip.audio_S is None:
            continue
        assert clip.audio_S.dtype == np.int16
        assert len(clip.audio_S) % HOP == 0
        assert len(clip.audio_S) >= SHORTEST
        assert abs(len(clip.audio_S) / AUDIO_RATE - max(1.0, clip.segment.duration_s)) <= TEN_MS
        heard += [clip.segment.start_s + onset for onset in onsets(clip.audio_S)]
    end = video.segments[-1].end_s
    wanted = [float(click) for click in video.made.clicks_s if click < end - 0.01]
    assert heard == pytest.approx(wanted, abs=TEN_MS)


def test_sound_is_absent_exactly_where_none_was_noted(video: MadeVideo) -> None:
    for clip in clips_of(video):
        assert (clip.audio_S is not None) == clip.segment.has_audio


def test_the_kinds_that_click_do_click(tmp_path: Path) -> None:
    assert sum(bool(made.clicks_s) for _, made in KINDS.values()) >= 12
    path, made = make_kind("audio starts late", tmp_path)
    source = probe(path)
    clips = list(read_clips(source, segment(source), SAMPLING))
    assert clips[0].audio_S is None
    assert made.sound_s is not None


def test_some_segments_of_many_can_be_read(plain: MadeVideo) -> None:
    (only,) = read_clips(plain.source, plain.segments[1:2], SAMPLING)
    whole = clips_of(plain)[1]
    assert np.array_equal(only.frames_THWC, whole.frames_THWC)
    assert only.audio_S is not None
    assert whole.audio_S is not None
    assert np.array_equal(only.audio_S, whole.audio_S)


def test_a_file_that_became_shorter_is_refused(plain: MadeVideo) -> None:
    write(plain.path, Made(regular(30, 25)))
    with pytest.raises(UserError) as caught:
        clips_of(plain)
    assert caught.value.code == "source_changed"


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_video_is_shown_upright(degrees: int, tmp_path: Path) -> None:
    flat = write(tmp_path / "flat.mp4", Made(regular(50, 25)))
    path = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation:v:0", str(degrees), "-i", str(flat), "-c", "copy", str(path))
    source = probe(path)
    clip = next(read_clips(source, segment(source), SAMPLING))
    _, height, width, _ = clip.frames_THWC.shape
    assert (source.width, source.height) == ((48, 104) if degrees in (90, 270) else (104, 48))
    assert (height > width) == (degrees in (90, 270))
    expected = shown_frames(path, width, height)[24]
    place = int(np.searchsorted(clip.times_T, 24 / 25))
    assert clip.times_T[place - 1] <= 24 / 25
    reference = shown_frames(path, width, height)[round(clip.times_T[place] * 25)]
    assert difference(clip.frames_THWC[place], reference) < 12
    assert difference(clip.frames_THWC[place], expected[::-1, ::-1]) > 40, "upside down"


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two pictures."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("size", [(97, 51), (33, 201), (1920, 31), (64, 64)])
def test_odd_sizes_keep_their_aspect_nearly(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    made = Made(regular(4, 25), width=width, height=height, pixels="yuv444p")
    source = probe(write(tmp_path / "odd.mp4", made))
    (clip,) = read_clips(source, segment(source), Sampling(fps=4.0, max_pixels=256 * 128))
    _, shown_height, shown_width, _ = clip.frames_THWC.shape
    assert (source.width, source.height) == size
    assert (shown_width >= shown_height) == (width >= height)
    assert difference(numbered(0)[:1, :1], clip.frames_THWC[0]) < 12


def test_gaps_in_the_sound_stay_gaps(tmp_path: Path) -> None:
    """Sound that begins at 6 s is heard at 6 s, not at the start of its segment."""
    times = regular(250, 25)
    made = Made(times, (Fraction(2), Fraction(10)), [Fraction(3), Fraction(8)],
                sound_codec="pcm_s16le")  # fmt: skip
    source = probe(write(tmp_path / "late.mkv", made))
    clips = list(read_clips(source, segment(source), SAMPLING))
    assert clips[0].audio_S is not None
    assert not clips[0].audio_S[: 2 * AUDIO_RATE - HOP].any()
    assert onsets(clips[0].audio_S) == pytest.approx([3.0], abs=TEN_MS)

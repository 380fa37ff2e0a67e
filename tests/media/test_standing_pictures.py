"""Every second with a picture or sound is in one segment, also where the picture stands still."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, number_of, onsets, regular, write
from timed_files import frozen

from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.sampling.policy import FixedCount, MotionPeak
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Clip, Sampling, Segment, Source

F = Fraction
SAMPLING = Sampling(fps=2.0, max_pixels=192 * 96)
LOSSLESS = {"sound_codec": "pcm_s16le"}


def tiles(segments: tuple[Segment, ...], start_s: float, end_s: float, slack_s: float) -> None:
    """Hold segments to cover a span, each second once, none longer than five seconds."""
    assert segments[0].start_s == pytest.approx(start_s, abs=slack_s)
    assert segments[-1].end_s == pytest.approx(end_s, abs=slack_s)
    assert all(one.end_s == other.start_s for one, other in pairwise(segments))
    assert all(0.0 < part.duration_s <= 5.0 + 1e-9 for part in segments)
    assert [part.index for part in segments] == list(range(len(segments)))
    count = 0
    for part in segments:
        assert part.first_frame == count
        count += part.num_frames


def same(one: Clip, other: Clip) -> bool:
    return (
        one.segment == other.segment
        and np.array_equal(one.frames_THWC, other.frames_THWC)
        and np.array_equal(one.times_T, other.times_T)
        and np.array_equal(one.audio_S, other.audio_S)  # type: ignore[arg-type]
    )


def codes(part: Segment) -> list[str]:
    return [warning.code for warning in part.warnings]


def still(path: Path, suffix: str, **more: object) -> Source:
    """Twelve seconds: pictures to 2 s, then none to 10 s; clicks all the while."""
    times = [*regular(50, 25), *regular(50, 25, start=10)]
    clicks = [F(1), F(3), F(5), F(7), F(9), F(11)]
    made = Made(times, (F(0), F(12)), clicks, **more)  # type: ignore[arg-type]
    return probe(write(path / f"still.{suffix}", made))


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_a_recording_whose_picture_stands_still_is_covered(suffix: str, tmp_path: Path) -> None:
    segments = segment(probe(frozen(tmp_path, suffix)))
    tiles(segments, 0.0, 26.0, 0.05)
    assert all(part.has_audio for part in segments)
    inside = [part for part in segments if part.end_s > 3 and part.start_s < 23]
    assert len(inside) == 5
    assert all(codes(part) == ["picture_stands_still"] for part in inside)
    assert "from 2.96 s to 23.02 s" in inside[0].warnings[0].sentence
    assert not segments[0].warnings
    assert not segments[-1].warnings


@pytest.mark.parametrize(("suffix", "more"), [("mp4", {}), ("mkv", LOSSLESS)])
def test_the_last_picture_is_shown_on_with_the_sound_of_its_time(
    suffix: str, more: dict[str, object], tmp_path: Path
) -> None:
    source = still(tmp_path, suffix, **more)
    clips = list(read_video(source, SAMPLING))
    tiles(tuple(clip.segment for clip in clips), 0.0, 12.0, 0.03)
    heard = [c.segment.start_s + at for c in clips for at in onsets(c.audio_S)]  # type: ignore[arg-type]
    assert heard == pytest.approx([1.0, 3.0, 5.0, 7.0, 9.0, 11.0], abs=0.01)
    for clip in clips:
        if clip.segment.stands_still:
            assert {number_of(frame) for frame in clip.frames_THWC} == {49}
            assert clip.times_T.tolist() == [clip.segment.start_s] * len(clip.times_T)
    assert sum(clip.segment.stands_still for clip in clips) == 1


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_every_way_of_reading_gives_the_same(suffix: str, tmp_path: Path) -> None:
    more: dict[str, object] = (
        {"codec": "mjpeg", "pixels": "yuvj420p", "options": {}, **LOSSLESS} if suffix == "avi"
        else {}
    )  # fmt: skip
    if suffix == "avi":  # has one rate: the pictures are shown as often as the sound needs
        source = probe(write(tmp_path / "a.avi", Made(regular(3, F(1, 8)), (F(0), F(20)), **more)))  # type: ignore[arg-type]
    else:
        source = still(tmp_path, suffix)
    for policy in (SAMPLING.policy, FixedCount(3), MotionPeak(count=4, rate=5.0)):
        sampling = replace(SAMPLING, policy=policy)
        clips = list(read_video(source, sampling))
        assert tuple(clip.segment for clip in clips) == segment(source)
        assert any(clip.segment.stands_still for clip in clips)
        known = list(read_clips(source, segment(source), sampling))
        assert all(map(same, clips, known))
        for clip in clips:
            (alone,) = read_clips(source, [clip.segment], sampling)
            assert same(alone, clip)
    with IsolatedVideo(source) as there:
        assert there.segment() == segment(source)
        assert all(map(same, clips, there.read(sampling)))
        again = list(there.read_segments([clip.segment for clip in clips], sampling))
        assert all(map(same, clips, again))
    cache = ClipCache.open(tmp_path / "cache")
    for _ in range(2):
        assert all(map(same, clips, cached_video(source, sampling, cache=cache)))


def test_parts_of_every_frame_see_the_standing_one(tmp_path: Path) -> None:
    part = FacePart(crop_size=0)
    for clip in read_video(still(tmp_path, "mp4"), SAMPLING, parts=[part]):
        times_T = clip.parts[part].times_T
        assert len(times_T) == max(1, clip.segment.num_frames)
        assert np.all((times_T >= clip.segment.start_s) & (times_T < clip.segment.end_s))


def test_sound_after_the_last_picture_is_heard(tmp_path: Path) -> None:
    made = Made(regular(50, 25), (F(0), F(9)), [F(1), F(5), F(8)], **LOSSLESS)  # type: ignore[arg-type]
    source = probe(write(tmp_path / "after.mkv", made))
    clips = list(read_video(source, SAMPLING))
    tiles(tuple(clip.segment for clip in clips), 0.0, 9.0, 0.03)
    heard = [c.segment.start_s + at for c in clips for at in onsets(c.audio_S)]  # type: ignore[arg-type]
    assert heard == pytest.approx([1.0, 5.0, 8.0], abs=0.01)
    said = {warning for clip in clips for warning in clip.segment.warnings}
    assert "The sound goes on for 7.00 s after the last picture, which is shown on." in {
        one.sentence for one in said
    }
    assert number_of(clips[-1].frames_THWC[-1]) == 49


def test_sound_before_the_first_picture_is_heard(tmp_path: Path) -> None:
    times = regular(75, 25, start=7)
    made = Made(times, (F(0), F(10)), [F(1), F(6), F(9)], **LOSSLESS)  # type: ignore[arg-type]
    source = probe(write(tmp_path / "before.mkv", made))
    clips = list(read_video(source, SAMPLING))
    tiles(tuple(clip.segment for clip in clips), 0.0, 10.0, 0.03)
    heard = [c.segment.start_s + at for c in clips for at in onsets(c.audio_S)]  # type: ignore[arg-type]
    assert heard == pytest.approx([1.0, 6.0, 9.0], abs=0.01)
    assert clips[0].segment.num_frames == 1
    assert {number_of(frame) for frame in clips[0].frames_THWC} == {0}
    assert "sound_before_pictures" in codes(clips[0].segment)
    assert codes(clips[-1].segment) == []
    known = list(read_clips(source, segment(source), SAMPLING))
    assert all(map(same, clips, known))


@pytest.mark.parametrize("beside_s", [F(0), F(1, 5)])
def test_a_little_sound_beside_the_pictures_changes_nothing(beside_s: F, tmp_path: Path) -> None:
    times = regular(50, 25, start=1)
    made = Made(times, (1 - beside_s, 3 + beside_s), **LOSSLESS)  # type: ignore[arg-type]
    (part,) = segment(probe(write(tmp_path / "little.mkv", made)))
    assert (part.start_s, part.end_s) == pytest.approx((1.0, 3.0), abs=0.002)
    assert part.warnings == ()

"""Chosen frames are those of a full decode, bit for bit, however little of a video was decoded."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import irregular
from made_videos import Made, regular, write
from numpy.typing import NDArray
from read_video import MadeVideo
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media import looking, reader
from mllm_affect.media.cutting import cut_timeline
from mllm_affect.media.decoding import carried_out, groups, planned
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.decoding.opening import open_media
from mllm_affect.media.decoding.planned import Plan
from mllm_affect.media.decoding.stream_choice import main_video
from mllm_affect.media.decoding.timeline import Timeline, TimelineReader
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.sampling.picture_size import to_model_picture
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Clip, Sampling, Source

SAMPLING = Sampling(fps=2.0, max_pixels=192 * 96)
F = Fraction

CODED: dict[str, tuple[str, list[str]]] = {
    f"{codec} in {suffix}": (suffix, words)
    for codec, words, suffixes in (
        ("hevc", ["libx265", "-x265-params", "log-level=none:keyint=50"], ("mkv", "mov")),
        ("hevc closed", ["libx265", "-x265-params", "log-level=none:keyint=40:open-gop=0"],
         ("mkv", "mov")),
        ("hevc layers", ["libx265", "-x265-params", "log-level=none:temporal-layers=3"], ("mov",)),
        ("vp9", ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "1",
                 "-lag-in-frames", "16"], ("mkv", "webm")),
        ("av1", ["libsvtav1", "-preset", "12"], ("mkv", "webm", "mp4")),
        ("mpeg4", ["mpeg4", "-bf", "2"], ("mkv", "avi", "mov")),
        ("h264", ["libx264", "-preset", "veryfast"], ("mkv", "avi", "mov")),
        ("h264 open", ["libx264", "-g", "30", "-x264-params", "open-gop=1"], ("mov",)),
        ("h264 fields", ["libx264", "-g", "40", "-flags", "+ildct+ilme"], ("mov",)),
        ("h264 intra", ["libx264", "-g", "1"], ("mov",)),
        ("h264 refresh", ["libx264", "-x264-params", "intra-refresh=1"], ("mkv",)),
        ("prores", ["prores"], ("mov",)),
        ("ffv1", ["ffv1", "-g", "12"], ("mkv",)),
    )
    for suffix in suffixes
}  # fmt: skip


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds that change everywhere, lossless."""
    path = tmp_path_factory.mktemp("moving") / "moving.mkv"
    picture = "testsrc2=s=160x96:r=25:d=7,noise=alls=12:allf=t,format=yuv420p"
    run_ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "ffv1", str(path))
    return path


def every_frame_decoded(source: Source) -> list[TimedFrame]:
    """Every frame by one thread of plain PyAV; AVI states no order, so ticks are made to rise."""
    frames: list[TimedFrame] = []
    with av.open(str(source.path)) as container:
        stream = main_video(container, source.chosen)
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        for picture in container.decode(stream):
            ticks = -1 if picture.pts is None else picture.pts
            if frames and ticks <= frames[-1].ticks:
                ticks = frames[-1].ticks + 1
            base = Fraction(stream.time_base or 1)
            frames.append(TimedFrame(base, len(frames), ticks, 0, picture))
    return frames


def assert_exact(source: Source, clips: list[Clip], sampling: Sampling = SAMPLING) -> None:
    """Hold clips to a full decode: the frame on show at each start + k / fps, scaled likewise."""
    frames = every_frame_decoded(source)
    times = np.array([frame.time_s for frame in frames])
    assert sum(clip.segment.num_frames for clip in clips) == len(frames)
    for clip in clips:
        first, count = clip.segment.shown_frame, max(1, clip.segment.num_frames)
        assert times[first] == clip.segment.start_s or clip.segment.stands_still
        due = clip.segment.start_s
        wanted: list[int] = []
        while due < clip.segment.end_s - 1e-6:
            wanted.append(int(np.searchsorted(times[: first + count], due + 1e-6, "right")) - 1)
            due = clip.segment.start_s + len(wanted) / sampling.fps
        wanted += wanted[-1:] * (len(wanted) % 2)
        assert clip.times_T.tolist() == np.maximum(times[wanted], clip.segment.start_s).tolist()
        for place, shown_HWC in zip(wanted, clip.frames_THWC, strict=True):
            assert np.array_equal(to_model_picture(frames[place], source, sampling), shown_HWC)


def read_as_planned(source: Source, sampling: Sampling = SAMPLING) -> list[Clip]:
    """Read a healthy video; it must not have come to decoding every packet after all."""
    plans: list[bool] = []

    def noting(timeline: Timeline, needed_N: NDArray[np.bool_], skip: bool) -> Plan:
        plans.append(skip)
        return Plan.of(timeline, needed_N, skip)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "Plan", SimpleNamespace(of=noting))
        clips = list(read_video(source, sampling))
    assert plans in ([], [True])
    return clips


def timeline_of(source: Source) -> Timeline | None:
    return looking.timeline_of(source, lambda packet: None)


def share_decoded(source: Source, sampling: Sampling = SAMPLING) -> float:
    """How much of a video's packets reading it decodes."""
    timeline = timeline_of(source)
    if timeline is None:
        return 1.0
    needed_N = reader.needed_frames(timeline, segment(source), [ModelFrames(sampling)])
    return float(timeline.packets_for(needed_N).mean())


def test_every_kind_is_exact(video: MadeVideo) -> None:
    assert_exact(video.source, read_as_planned(video.source))
    assert_exact(video.source, list(read_clips(video.source, video.segments, SAMPLING)))


@pytest.mark.parametrize("coded", sorted(CODED))
def test_every_codec_is_exact(coded: str, moving: Path, tmp_path: Path) -> None:
    suffix, words = CODED[coded]
    path = tmp_path / f"coded.{suffix}"
    run_ffmpeg("-i", str(moving), "-c:v", *words, str(path))
    source = probe(path)
    fields = "fields" in coded
    assert_exact(source, list(read_video(source, SAMPLING)) if fields else read_as_planned(source))


@pytest.mark.parametrize("coded", ["h264 in mov", "hevc in mkv", "hevc closed in mov"])
def test_what_nobody_needs_is_not_decoded(coded: str, moving: Path, tmp_path: Path) -> None:
    suffix, words = CODED[coded]
    path = tmp_path / f"coded.{suffix}"
    run_ffmpeg("-i", str(moving), "-c:v", *words, str(path))
    assert share_decoded(probe(path)) < 0.75


def test_from_the_last_needed_frame_on_a_group_is_passed_over(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "bf": "0", "g": "100"}
    source = probe(write(tmp_path / "long.mp4", Made(regular(500, 25), options=options)))
    rarely = Sampling(fps=0.25, max_pixels=192 * 96)
    assert share_decoded(source, rarely) < 0.8
    assert_exact(source, read_as_planned(source, rarely), rarely)


def test_packets_give_the_segments_that_decoding_gives(
    video: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mllm_affect.media.segment.timeline_of", lambda *_: None)
    assert segment(video.source) == video.segments


def test_most_kinds_have_a_timeline(video: MadeVideo) -> None:
    assert (timeline_of(video.source) is None) == (video.path.suffix == ".webm")


def test_decoding_everything_gives_the_same(
    video: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = list(read_video(video.source, SAMPLING))
    monkeypatch.setattr(looking, "read_timeline", lambda *_: None)
    for one, other in zip(some, read_video(video.source, SAMPLING), strict=True):
        assert one.segment == other.segment
        assert np.array_equal(one.frames_THWC, other.frames_THWC)
        assert np.array_equal(one.times_T, other.times_T)
        assert (one.audio_S is None) == (other.audio_S is None)


@given(seed=st.integers(0, 10_000))
@settings(derandomize=True, deadline=None, max_examples=12)
def test_any_coding_is_exact(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    draw = random.Random(seed)
    options = {
        "preset": draw.choice(["ultrafast", "veryfast", "medium"]),
        "bf": str(draw.randint(0, 5)),
        "g": str(draw.choice([1, 7, 24, 60, 250])),
        "refs": str(draw.randint(1, 4)),
        "b_strategy": str(draw.randint(0, 2)),
        "x264-params": f"b-pyramid={draw.choice(['none', 'strict', 'normal'])}"
        f":open-gop={draw.randint(0, 1)}:slices={draw.randint(1, 3)}:weightb={draw.randint(0, 1)}",
    }
    times = irregular(6.0, seed) if draw.random() < 0.5 else regular(170, 25)
    path = tmp_path_factory.mktemp("any") / f"any.{draw.choice(['mp4', 'mkv', 'mov'])}"
    source = probe(write(path, Made(times, options=options)))
    sampling = Sampling(fps=draw.choice([0.3, 1.0, 2.0, 4.0]), max_pixels=192 * 96)
    assert_exact(source, read_as_planned(source, sampling), sampling)


def test_a_surprise_on_the_way_leads_to_a_full_decode(
    plain: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[bool] = []

    def losing_one(decoder: Any, packets: Any, plan: Plan) -> Iterator[TimedFrame]:
        passes.append(plan.skip)
        for frame in planned.planned_frames(decoder, packets, plan):
            if plan.skip and frame.index >= 150:
                raise planned.UnplannedError
            yield frame

    for decoding in (carried_out, groups):
        monkeypatch.setattr(decoding, "planned_frames", losing_one)
    clips = list(read_video(plain.source, SAMPLING))
    assert passes[-1] is False
    assert all(passes[:-1])
    assert [clip.segment for clip in clips] == list(plain.segments)
    assert_exact(plain.source, clips)


Spoil = Callable[[Path, Path], object]


def with_an_edit_list(whole: Path, path: Path) -> None:
    run_ffmpeg("-ss", "0.5", "-i", str(whole), "-c", "copy", str(path))


SPOILT: dict[str, Spoil] = {"an edit list": with_an_edit_list}


@pytest.mark.parametrize("spoilt", sorted(SPOILT))
def test_odd_timelines_are_not_trusted(spoilt: str, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", Made(regular(150, 25), options={"g": "50"}))
    path = tmp_path / "spoilt.mp4"
    SPOILT[spoilt](whole, path)
    source = probe(path)
    assert timeline_of(source) is None
    assert_exact(source, list(read_video(source, SAMPLING)))


def test_missing_and_repeated_timestamps_are_not_trusted(plain: MadeVideo) -> None:
    for spoil in ("none", "same"):
        with open_media(plain.path) as container:
            stream = container.streams.video[0]
            taker = TimelineReader(stream)
            for number, packet in enumerate(container.demux(stream)):
                if number == 7:
                    packet.pts = None if spoil == "none" else 0
                taker.see(packet)
            assert taker.timeline() is None


def test_undecodable_pictures_are_bridged_by_the_one_before(tmp_path: Path) -> None:
    """The timeline is the file's; where pictures are broken the last good one stays on show."""
    options = {"preset": "ultrafast", "bf": "0", "g": "10"}
    path = write(tmp_path / "hurt.mp4", Made(regular(250, 25), options=options))
    source = probe(path)
    whole = list(read_video(source, SAMPLING))
    with open_media(path) as container:
        packets = [
            p for p in container.demux(video=0) if p.size and p.pts * p.time_base * 25 >= 100
        ]
        spans = [(p.pos, p.size) for p in packets[:60] if p.pos is not None]
    content = bytearray(path.read_bytes())
    for place, size in spans:
        content[place + 5 : place + size] = bytes([255]) * (size - 5)
    path.write_bytes(bytes(content))
    hurt = list(read_video(source, SAMPLING))
    segments = [replace(clip.segment, warnings=()) for clip in hurt]
    assert segments == [clip.segment for clip in whole]
    assert "pictures_damaged" in {one.code for one in hurt[0].segment.warnings}
    assert [len(clip.frames_THWC) for clip in hurt] == [len(clip.frames_THWC) for clip in whole]
    assert np.array_equal(hurt[0].frames_THWC[:8], whole[0].frames_THWC[:8])


def test_seconds_are_rounded_once() -> None:
    ticks_N: NDArray[np.int64] = np.array([1, 7, 1001, 2**40 + 1], dtype=np.int64)
    for base in (Fraction(1001, 30_000), Fraction(1, 90_000), Fraction(2**30 + 1, 3)):
        line = Timeline(base, ticks_N, 0, np.arange(4), np.zeros(4, dtype=np.uint8))
        assert line.seconds().tolist() == [float(int(tick) * base) for tick in ticks_N]


def test_cutting_a_timeline_needs_no_pictures(plain: MadeVideo) -> None:
    timeline = timeline_of(plain.source)
    assert timeline is not None
    cut = list(cut_timeline(timeline, plain.source, 5.0))
    assert [(one.start_s, one.end_s, one.num_frames) for one in cut] == [
        (one.start_s, one.end_s, one.num_frames) for one in plain.segments
    ]

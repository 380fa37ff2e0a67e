"""Of several streams the real video and the sound that can be heard are read, everywhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, regular, write
from numpy.typing import NDArray
from shown_files import silent_first, strip_first, thumbnail_first, with_apac
from wheel_ffmpeg import run_ffmpeg, shown_frames

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.export.clip_files import write_clips
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.segment import segment
from mllm_affect.media.types import AUDIO_RATE, Sampling, Source
from mllm_affect.media.video import open_video
from tests.real_videos import real_video

SAMPLING = Sampling(fps=1.0, max_pixels=160 * 96)


def sound_of(source: Source) -> NDArray[np.int16]:
    clips = read_video(source, SAMPLING)
    pieces = [clip.audio_S for clip in clips if clip.audio_S is not None]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def rms(samples_S: NDArray[np.int16]) -> float:
    return float(np.sqrt((samples_S.astype(float) ** 2).mean()))


def clip_sound(source: Source, folder: Path) -> NDArray[np.int16]:
    paths = write_clips(source, segment(source), folder / "clips", trusted=True)
    return np.concatenate([sound_of(probe(path)) for path in paths])


def mixed(folder: Path, suffix: str, *streams: Sequence[str], inputs: Sequence[str] = ()) -> Path:
    """Streams of several inputs in one file: each as (map, option, value, ...)."""
    path = folder / f"mixed.{suffix}"
    words = [word for stream in streams for word in ("-map", *stream)]
    run_ffmpeg(*inputs, "-t", "3", *words, str(path))
    return path


@pytest.mark.parametrize("make", [thumbnail_first, strip_first])
def test_thumbnails_before_the_video_are_not_analysed(make: object, tmp_path: Path) -> None:
    path = make(tmp_path)
    source = isolated_video.probe(path)
    assert (source.width, source.height, source.video_stream) == (640, 360, 1)
    assert source.average_fps == pytest.approx(23.976, abs=0.01)
    assert [one.code for one in source.warnings] == ["video_streams"]
    parts = segment(source)
    assert sum(part.num_frames for part in parts) > 70
    assert parts[0].warnings == source.warnings
    with open_video(path) as video:
        assert video.segment() == parts
        assert [clip.segment for clip in video.read(SAMPLING)] == list(parts)
    paths = write_clips(source, segment(source, 1.5), tmp_path / "clips", trusted=True)
    assert {(probe(one).width, probe(one).height) for one in paths} == {(640, 360)}
    begins = segment(source, 1.5)[1].first_frame
    shown, written = shown_frames(path, 160, 90, 1)[begins], shown_frames(paths[1], 160, 90)[0]
    assert np.abs(shown.astype(int) - written.astype(int)).mean() < 4
    first = round(segment(source, 1.5)[1].start_s * AUDIO_RATE)
    expected = sound_of(source)[first : first + AUDIO_RATE]
    assert np.corrcoef(sound_of(probe(paths[1]))[:AUDIO_RATE], expected)[0, 1] > 0.9


VIDEOS = {
    "the default": ((("0:v", "-disposition:v:0", "0"), ("1:v", "-disposition:v:1", "default")), 1),
    "the first default": ((("0:v", "-disposition:v:0", "default"),
                           ("1:v", "-disposition:v:1", "0")), 0),
    "the largest of equals": ((("1:v", "-disposition:v:0", "0"),
                               ("0:v", "-disposition:v:1", "0")), 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", VIDEOS)
def test_of_real_videos_the_default_then_the_largest_is_read(kind: str, tmp_path: Path) -> None:
    large = write(tmp_path / "large.mp4", Made(regular(75, 25), width=208, height=96))
    small = write(tmp_path / "small.mp4", Made(regular(75, 25)))
    streams, chosen = VIDEOS[kind]
    path = mixed(tmp_path, "mkv", *streams, inputs=("-i", str(large), "-i", str(small)))
    source = probe(path)
    assert source.video_stream == chosen
    assert sum(part.num_frames for part in segment(source)) == 75


def test_of_equal_videos_the_longest_is_read(tmp_path: Path) -> None:
    short = write(tmp_path / "short.mp4", Made(regular(25, 25)))
    long = write(tmp_path / "long.mp4", Made(regular(75, 25)))
    path = mixed(tmp_path, "mkv", ("0:v", "-disposition:v:0", "0"),
                 ("1:v", "-disposition:v:1", "0"),
                 inputs=("-i", str(short), "-i", str(long)))  # fmt: skip
    assert probe(path).video_stream == 1


def test_a_cover_picture_first_is_no_stream_to_choose(tmp_path: Path) -> None:
    video = write(tmp_path / "video.mp4", Made(regular(25, 25)))
    picture = tmp_path / "cover.jpg"
    run_ffmpeg("-i", str(video), "-frames:v", "1", "-vf", "scale=512:256", str(picture))
    cover = ("1:v", "-c:v:0", "mjpeg", "-disposition:v:0", "attached_pic")
    path = mixed(tmp_path, "mp4", cover, ("0:v",),
                 inputs=("-i", str(video), "-i", str(picture)))  # fmt: skip
    source = probe(path)
    assert (source.width, source.warnings) == (104, ())


def test_a_default_microphone_after_silence_is_heard(tmp_path: Path) -> None:
    source = isolated_video.probe(silent_first(tmp_path))
    assert source.audio_stream == 2
    assert [one.code for one in source.warnings] == ["audio_streams"]
    assert "stream 2 is read (the default)" in source.warnings[0].sentence
    samples_S = sound_of(source)
    microphone = rms(sound_of(probe(real_video("talking"))))
    assert microphone > 2_000
    assert rms(samples_S) == pytest.approx(microphone, rel=0.01)
    with open_video(source) as video:
        (first, *_) = video.read(SAMPLING)
    assert np.array_equal(first.audio_S, samples_S[: len(first.audio_S)])
    assert rms(clip_sound(source, tmp_path)) == pytest.approx(microphone, rel=0.05)


@pytest.mark.parametrize(("sound", "place"), [("pcm_u8", 0), ("aac", 0), ("aac", 1)])
def test_a_silent_default_is_not_read_where_another_stream_is_heard(
    sound: str, place: int, tmp_path: Path
) -> None:
    silence = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono")
    streams = [("0:a",)]
    streams.insert(place, ("1:a", f"-c:a:{place}", sound))
    flags = [f"-disposition:a:{place}", "default", f"-disposition:a:{1 - place}", "0"]
    path = mixed(tmp_path, "mkv", ("0:v", "-c:v", "copy"), *streams[:1], (*streams[1], *flags),
                 inputs=("-i", str(real_video("talking")), *silence))  # fmt: skip
    source = probe(path)
    assert source.audio_stream == 2 - place
    assert "the first that is not silent" in source.warnings[0].sentence
    assert rms(sound_of(source)) > 500


@pytest.mark.parametrize("place", [0, 1])
def test_apac_beside_aac_is_passed_over(place: int, tmp_path: Path) -> None:
    source = isolated_video.probe(with_apac(tmp_path, place))
    assert (source.audio_codec, source.audio_stream) == ("aac", 2 - place)
    assert "the only one that can be decoded" in source.warnings[0].sentence
    expected = sound_of(probe(real_video("talking")))[: 4 * AUDIO_RATE]
    assert np.corrcoef(sound_of(source)[: len(expected)], expected)[0, 1] > 0.99
    assert np.corrcoef(clip_sound(source, tmp_path)[: len(expected)], expected)[0, 1] > 0.9


def test_sound_that_cannot_be_read_at_all_is_refused_by_name(tmp_path: Path) -> None:
    path = with_apac(tmp_path, 0)
    alone = tmp_path / "alone.mov"
    content = path.read_bytes()
    alone.write_bytes(content.replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    with pytest.raises(UserError) as caught:
        probe(alone)
    assert caught.value.code == "unsupported_codec"


def test_clips_are_kept_of_the_streams_that_were_read(tmp_path: Path) -> None:
    source = probe(silent_first(tmp_path))
    cache = ClipCache.open(tmp_path / "cache")
    first, kept = (list(cached_video(source, SAMPLING, cache=cache)) for _ in range(2))
    assert all(np.array_equal(a.audio_S, b.audio_S) for a, b in zip(first, kept, strict=True))
    assert [clip.segment for clip in kept] == [clip.segment for clip in first]
    assert kept[0].segment.warnings == source.warnings


def test_a_source_from_before_streams_were_chosen_is_probed_anew(tmp_path: Path) -> None:
    source = probe(silent_first(tmp_path))
    stored = replace(source, video_stream=None, audio_stream=None, warnings=())
    with open_video(stored) as video:
        assert video.source == source
    with open_video(stored, trusted=True) as video:
        assert video.source == source


def test_segments_of_several_streams_are_read_as_listed(tmp_path: Path) -> None:
    source = probe(strip_first(tmp_path))
    parts = segment(source)
    clips = list(read_clips(source, parts, SAMPLING))
    assert [clip.segment for clip in clips] == list(parts)
    assert all(clip.audio_S is not None for clip in clips)

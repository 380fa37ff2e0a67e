"""Channels that would cancel each other are heard; all other sound is mixed as it was."""

from pathlib import Path

import av
import numpy as np
import pytest
from heard import best_match, in_one_piece
from numpy.typing import NDArray
from timed_files import inverted
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.decoding.downmix import Unfolding
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.speech.activity import SpeechPart
from mllm_affect.media.types import Clip, Sampling
from tests.real_videos import real_video

SAMPLING = Sampling(fps=0.2, max_pixels=1024)


def clips_of(path: Path) -> list[Clip]:
    return list(read_video(probe(path), SAMPLING))


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_speech_is_heard_as_of_one_channel(gain: float, tmp_path: Path) -> None:
    source, part = probe(inverted(tmp_path, gain)), SpeechPart()
    clips = list(read_video(source, SAMPLING, parts=[part]))
    shares = [clip.parts[part].speech_share for clip in clips]
    assert shares == pytest.approx([0.79, 0.49, 0.95, 0.73], abs=0.02)
    mono_S = in_one_piece(clips_of(real_video("talking")))
    match, moved_s = best_match(mono_S, in_one_piece(clips))
    assert match > 0.98
    assert abs(moved_s) < 0.001
    for clip in clips:
        assert [one.code for one in clip.segment.warnings] == ["sound_inverted"]
        (alone,) = read_clips(source, [clip.segment], SAMPLING)
        assert np.array_equal(alone.audio_S, clip.audio_S)  # type: ignore[arg-type]
    with IsolatedVideo(source) as there:
        for clip, same in zip(clips, there.read(SAMPLING), strict=True):
            assert np.array_equal(same.audio_S, clip.audio_S)  # type: ignore[arg-type]
            assert same.segment == clip.segment


@pytest.mark.parametrize("coder", [("aac", "mp4"), ("libopus", "webm"), ("ac3", "mkv")])
def test_inverted_channels_survive_coding(coder: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / f"coded.{coder[1]}"
    picture = ["-vn", "-f", "lavfi", "-i", "color=s=32x32:r=5", "-map", "1:v", "-map", "0:a"]
    codec = "libvpx" if coder[1] == "webm" else "libx264"
    run_ffmpeg("-i", str(inverted(tmp_path)), *picture[1:], "-t", "9", "-c:v", codec,
               "-c:a", coder[0], "-b:a", "128k", str(path))  # fmt: skip
    mono_S = in_one_piece(clips_of(real_video("talking")))[: 8 * 16_000]
    match, _ = best_match(mono_S, in_one_piece(clips_of(path))[: 8 * 16_000])
    assert match > 0.9


@pytest.mark.parametrize(
    "layout",
    ["stereo|c0=c0|c1=c0", "stereo|c0=c0|c1=0*c0", "5.1|FC=c0", "5.1|FL=c0|FR=-1*c0|LFE=c0"],
)
def test_other_layouts_are_heard(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.mov"
    run_ffmpeg("-i", str(real_video("talking")), "-t", "9", "-c:v", "copy",
               "-af", f"pan={layout}", "-c:a", "pcm_s16le", str(path))  # fmt: skip
    mono_S = in_one_piece(clips_of(real_video("talking")))[: 8 * 16_000]
    clips = clips_of(path)
    match, _ = best_match(mono_S, in_one_piece(clips)[: 8 * 16_000])
    assert match > 0.99
    warned = any(clip.segment.warnings for clip in clips)
    assert warned == ("-1*" in layout)


def block(samples_CS: NDArray[np.int16]) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples_CS, format="s16p", layout="stereo")
    frame.sample_rate = 16_000
    return frame


def test_ordinary_stereo_is_handed_on_untouched() -> None:
    noise = np.random.default_rng(0).normal(0, 3_000, (3, 16_000)).astype(np.int16)
    unfolding = Unfolding()
    for left_S, right_S in ((noise[0], noise[1]), (noise[0], noise[0]), (noise[0], 0 * noise[0])):
        given = block(np.stack([left_S, right_S]))
        corrected, turned = unfolding.corrected(given)
        assert corrected is given
        assert not turned


def test_what_is_undecided_stays_as_it_was() -> None:
    noise_S = np.random.default_rng(0).normal(0, 3_000, 16_000).astype(np.int16)
    alike, one_alone = np.stack([noise_S, noise_S]), np.stack([noise_S, 0 * noise_S])
    opposite = np.stack([noise_S, -noise_S])
    unfolding = Unfolding()
    turned = [
        unfolding.corrected(block(some))[1]
        for some in (one_alone, opposite, one_alone, 0 * alike, alike, one_alone)
    ]
    assert turned == [False, True, True, True, False, False]

"""Real videos of faces go through every stage with right times (fetched, never committed)."""

import pytest
from wheel_ffmpeg import shown_frames

from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import AUDIO_RATE, Sampling
from tests.real_videos import NAMES, real_video


@pytest.mark.parametrize("name", NAMES)
def test_a_real_video_is_cut_and_read(name: str) -> None:
    path = real_video(name)
    source = probe(path)
    parts = segment(source)
    frames = len(shown_frames(path, 32, 32))
    assert sum(part.num_frames for part in parts) == frames
    assert all(part.duration_s <= 5.0 for part in parts)
    assert parts[-1].end_s - parts[0].start_s == pytest.approx(frames / source.average_fps, abs=0.1)
    for clip in read_clips(source, parts, Sampling(fps=2.0, max_pixels=256 * 160)):
        assert clip.frames_THWC.std() > 1, "a picture, not a blank"
        assert (clip.audio_S is not None) == clip.segment.has_audio
        if name == "talking":
            assert clip.audio_S is not None
            assert len(clip.audio_S) == pytest.approx(clip.segment.duration_s * AUDIO_RATE, abs=160)
            assert clip.audio_S.any(), "speech, not silence"

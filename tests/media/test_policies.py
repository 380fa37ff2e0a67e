"""Fixed counts, motion peaks and thumbnails: from the same pass, and the right frames."""

from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, number_of, regular
from read_video import MadeVideo
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.errors import UserError
from mllm_affect.media import reader
from mllm_affect.media.policies import FixedCount, MotionPeak, Thumbnail
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Sampling

SAMPLING = Sampling(fps=1.0, max_pixels=192 * 96)


def test_a_fixed_count_is_spread_over_every_segment(video: MadeVideo) -> None:
    four = FixedCount(4, max_pixels=192 * 96)
    for clip in read_video(video.source, SAMPLING, parts=[four]):
        frames_THWC, times_T = clip.parts[four]
        assert len(frames_THWC) == len(times_T) == 4
        part = clip.segment
        middles = part.start_s + (np.arange(4) + 0.5) * part.duration_s / 4
        longest = 0.13 if "variable" in video.path.name else 0.045
        assert np.all(np.abs(times_T - middles) <= longest + 1 / 25)
        shown = [number_of(frame) for frame in frames_THWC]
        expected = [float(video.made.times_s[number]) for number in shown]
        assert times_T.tolist() == pytest.approx(expected, abs=0.0011)


def test_policies_choose_the_same_however_much_is_decoded(
    video: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [FixedCount(5, 4096), Thumbnail(4096)]
    some = list(read_video(video.source, SAMPLING, parts=parts))
    monkeypatch.setattr(reader, "read_timeline", lambda *_: None)
    for one, other in zip(some, read_video(video.source, SAMPLING, parts=parts), strict=True):
        assert np.array_equal(one.parts[parts[0]][0], other.parts[parts[0]][0])
        assert np.array_equal(one.parts[parts[0]][1], other.parts[parts[0]][1])
        assert np.array_equal(one.parts[parts[1]], other.parts[parts[1]])


def test_a_thumbnail_is_the_first_frame(plain: MadeVideo) -> None:
    small = Thumbnail(192 * 96)
    for clip in read_video(plain.source, SAMPLING, parts=[small]):
        assert np.array_equal(clip.parts[small], clip.frames_THWC[0])


@pytest.mark.parametrize("rate", [25, 60, 200])
def test_a_micro_expression_survives(rate: int, tmp_path: Path) -> None:
    """A patch that shows from 2.3 to 2.6 s in five still seconds: unseen at 1 frame a second."""
    path = tmp_path / "brief.mkv"
    still = f"color=gray:s=160x96:r={rate}:d=5"
    patch = "drawbox=x=60:y=40:w=16:h=8:color=white:t=fill:enable='between(t,2.3,2.6)'"
    run_ffmpeg("-f", "lavfi", "-i", still, "-vf", patch, "-c:v", "ffv1", str(path))
    peak = MotionPeak(count=16, seconds=0.5, max_pixels=160 * 96)
    (clip,) = read_video(probe(path), SAMPLING, parts=[peak])
    assert all(frame.std() < 1 for frame in clip.frames_THWC), "uniform sampling misses it"
    frames_THWC, times_T = clip.parts[peak]
    shows = np.array([frame.std() > 5 for frame in frames_THWC])
    assert shows.any()
    assert not shows.all(), "its onset or offset is in the window too"
    assert 2 <= len(frames_THWC) <= 16
    assert len(frames_THWC) % 2 == 0
    assert times_T[-1] - times_T[0] <= 0.5
    if rate == 25:
        assert np.diff(times_T[:-1]).max() == pytest.approx(1 / 25, abs=0.002), "native rate"


def test_still_video_has_a_window_too(tmp_path: Path) -> None:
    from made_videos import write

    peak = MotionPeak(max_pixels=4096)
    source = probe(write(tmp_path / "one.mp4", Made(regular(1, 25))))
    (clip,) = read_video(source, SAMPLING, parts=[peak])
    frames_THWC, times_T = clip.parts[peak]
    assert len(frames_THWC) == len(times_T) == 2


def test_senseless_policies_are_refused() -> None:
    for make in (lambda: FixedCount(0), lambda: MotionPeak(count=1), lambda: MotionPeak(seconds=0)):
        with pytest.raises(UserError) as caught:
            make()
        assert caught.value.code == "bad_sampling"

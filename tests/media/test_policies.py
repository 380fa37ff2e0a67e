"""Fixed counts, motion peaks and thumbnails: from the same pass, and the right frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, number_of, regular
from read_video import MadeVideo
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.errors import UserError
from mllm_affect.media import looking
from mllm_affect.media.cache.entry import entry_key
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.sampling.policy import FixedCount, MotionPeak, Uniform
from mllm_affect.media.sampling.thumbnail import Thumbnail
from mllm_affect.media.types import Clip, Sampling

SAMPLING = Sampling(fps=1.0, max_pixels=192 * 96)
POLICIES = (FixedCount(5), MotionPeak(count=6, rate=20))


def sampled(policy: Uniform | FixedCount | MotionPeak, max_pixels: int = 192 * 96) -> Sampling:
    return Sampling(1.0, max_pixels, policy)


def test_a_fixed_count_is_spread_over_every_segment(video: MadeVideo) -> None:
    for clip in read_video(video.source, sampled(FixedCount(4))):
        assert len(clip.frames_THWC) == len(clip.times_T) == 4
        part = clip.segment
        middles = part.start_s + (np.arange(4) + 0.5) * part.duration_s / 4
        middles = np.minimum(middles, max(part.start_s, float(video.made.times_s[-1])))
        longest = 0.13 if "variable" in video.path.name else 0.045
        assert np.all(np.abs(clip.times_T - middles) <= longest + 1 / 25)
        shown = [number_of(frame) for frame in clip.frames_THWC]
        expected = [max(part.start_s, float(video.made.times_s[number])) for number in shown]
        assert clip.times_T.tolist() == pytest.approx(expected, abs=0.0011)


def test_policies_choose_the_same_however_much_is_decoded(
    video: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, peak = POLICIES
    sampling, parts = sampled(few, 4096), [ModelFrames(sampled(peak, 4096)), Thumbnail(4096)]
    some = list(read_video(video.source, sampling, parts=parts))
    assert all(len(one.parts[parts[0]][0]) % 2 == 0 for one in some)
    monkeypatch.setattr(looking, "read_timeline", lambda *_: None)
    for one, other in zip(some, read_video(video.source, sampling, parts=parts), strict=True):
        assert_same(one, other)
        for mine, its in zip(one.parts[parts[0]], other.parts[parts[0]], strict=True):
            assert np.array_equal(mine, its)
        assert np.array_equal(one.parts[parts[1]], other.parts[parts[1]])


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.kind)
def test_a_process_of_its_own_chooses_the_same(
    policy: FixedCount | MotionPeak, plain: MadeVideo
) -> None:
    here = read_video(plain.source, sampled(policy))
    for one, other in zip(
        here, isolated_video.read_video(plain.source, sampled(policy)), strict=True
    ):
        assert_same(one, other)


def assert_same(one: Clip, other: Clip) -> None:
    assert np.array_equal(one.frames_THWC, other.frames_THWC)
    assert np.array_equal(one.times_T, other.times_T)


def test_a_thumbnail_is_the_first_frame(plain: MadeVideo) -> None:
    small = Thumbnail(192 * 96)
    for clip in read_video(plain.source, SAMPLING, parts=[small]):
        assert np.array_equal(clip.parts[small], clip.frames_THWC[0])


def brief_motion(folder: Path, rate: int) -> Path:
    """A patch that shows from 2.3 to 2.6 s in five still seconds: unseen at 1 frame a second."""
    path = folder / "brief.mkv"
    still = f"color=gray:s=160x96:r={rate}:d=5"
    patch = "drawbox=x=60:y=40:w=16:h=8:color=white:t=fill:enable='between(t,2.3,2.6)'"
    run_ffmpeg("-f", "lavfi", "-i", still, "-vf", patch, "-c:v", "ffv1", str(path))
    return path


def shows_patch(clip: Clip) -> np.ndarray:
    return np.array([frame.std() > 5 for frame in clip.frames_THWC])


@pytest.mark.parametrize("rate", [25, 30, 60, 100, 200])
def test_a_micro_expression_survives_at_every_rate_alike(rate: int, tmp_path: Path) -> None:
    source = probe(brief_motion(tmp_path, rate))
    (missed,) = read_video(source, sampled(Uniform(), 160 * 96))
    assert not shows_patch(missed).any(), "uniform sampling misses it"
    (clip,) = read_video(source, sampled(MotionPeak(count=16, rate=30), 160 * 96))
    shows = shows_patch(clip)
    assert len(shows) == 16
    assert not shows[[0, 1, -2, -1]].any(), "its onset and offset are in the window, not at its rim"
    assert abs(shows.sum() - 0.3 * 30) <= 1, "as many frames show it, whatever the video's rate"
    spacing = np.diff(clip.times_T)
    assert spacing.max() <= max(1 / 30, 1 / rate) + 0.01, "no frame of its own rate is passed over"
    assert spacing.sum() == pytest.approx(0.5, abs=1 / 25)


def test_flickering_light_is_no_motion(tmp_path: Path) -> None:
    path = tmp_path / "flicker.mkv"
    still = "color=gray:s=160x96:r=50:d=4"
    light = "eq=brightness='if(between(t,0.5,1.5),0.2*mod(n,2),0)':eval=frame"
    patch = "drawbox=x=60:y=40:w=16:h=8:color=white:t=fill:enable='between(t,2.3,2.6)'"
    run_ffmpeg("-f", "lavfi", "-i", still, "-vf", f"{light},{patch}", "-c:v", "ffv1", str(path))
    (clip,) = read_video(probe(path), sampled(MotionPeak(), 160 * 96))
    assert shows_patch(clip).any()


def test_a_short_segment_gives_all_its_looks(tmp_path: Path) -> None:
    from made_videos import write

    source = probe(write(tmp_path / "one.mp4", Made(regular(1, 25))))
    (clip,) = read_video(source, sampled(MotionPeak(), 4096))
    assert len(clip.frames_THWC) == len(clip.times_T) == 2
    (few,) = read_video(source, sampled(FixedCount(5), 4096))
    assert len(few.frames_THWC) == 6, "an even count, the last frame twice"


def test_other_policies_are_kept_apart_and_the_uniform_one_as_ever() -> None:
    keys = {entry_key("a" * 64, sampled(policy), 5.0) for policy in policies_and_variants()}
    assert len(keys) == len(list(policies_and_variants()))
    assert Sampling(2.0, 4096).facts() == {"fps": 2.0, "max_pixels": 4096}


def policies_and_variants() -> Iterator[Uniform | FixedCount | MotionPeak]:
    yield from (
        Uniform(),
        *POLICIES,
        FixedCount(6),
        MotionPeak(count=8, rate=20),
        MotionPeak(count=6, rate=25),
    )


def test_senseless_policies_are_refused() -> None:
    for make in (lambda: FixedCount(0), lambda: MotionPeak(count=1), lambda: MotionPeak(rate=0)):
        with pytest.raises(UserError) as caught:
            make()
        assert caught.value.code == "bad_sampling"

"""Files that do many odd things at once: each second once, sound in place, pictures as shown."""

from pathlib import Path

import numpy as np
import pytest
from drawn_files import as_ffmpeg_shows_it, draw, tiled, write
from made_videos import onsets

from mllm_affect.media.cutting import frame_times
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling

SAMPLING = Sampling(fps=1.0, max_pixels=64 * 64)
IN_CI, WHOLE = 40, 2_000
CONTAINER_S = 0.05
"""Coders write whole packets of sound, of up to 21 ms, and wobbling ends are wrong themselves."""


def check(seed: int, folder: Path) -> None:
    """Hold what is read of one drawn file to what was put into it."""
    drawn = draw(seed)
    path = write(drawn, folder)
    source = probe(path)
    clips = list(read_video(source, SAMPLING))
    segments = [clip.segment for clip in clips]
    assert tuple(segments) == _without_sound_warnings(segments, segment(source))

    spans = [(one.start_s, one.end_s) for one in segments]
    assert tiled(spans), spans
    begin_s, end_s = drawn.span_s[0], drawn.offsets_s[-1] + drawn.span_s[1]
    assert abs(spans[0][0] - float(begin_s)) < CONTAINER_S
    assert abs(spans[-1][1] - float(end_s)) < CONTAINER_S * drawn.parts
    frames = [one.first_frame for one in segments for _ in range(one.num_frames)]
    assert len(frames) == drawn.frames * drawn.parts

    heard = [
        clip.segment.start_s + at
        for clip in clips if clip.audio_S is not None
        for at in onsets(clip.audio_S)
    ]  # fmt: skip
    times_T = frame_times(source)
    begins_s = times_T[:: drawn.frames].tolist()
    assert begins_s == pytest.approx([float(one) for one in drawn.offsets_s], abs=CONTAINER_S)
    # A segment's last part of a hop is left out, and a click in it.
    borders = np.array([border for span in spans for border in span])
    for one, others in ((expected := drawn.heard_s(begins_s), heard), (heard, expected)):
        for at in one:
            if np.abs(borders - at).min() > CONTAINER_S:
                assert np.abs(np.array(others) - at).min() <= 0.010, (at, others)

    width, height = drawn.shown_size
    assert abs(np.log(source.width / source.height) - np.log(width / height)) < 0.05
    shown_HWC = clips[0].frames_THWC[0]
    expected_HWC = as_ffmpeg_shows_it(path, source.video_stream, *shown_HWC.shape[1::-1])
    assert np.abs(shown_HWC.astype(int) - expected_HWC.astype(int)).mean() < 12


def _without_sound_warnings(read: list, cut: tuple) -> tuple:  # type: ignore[type-arg]
    """Cutting alone decodes no sound: what is said of that is known to the reader only."""
    assert len(read) == len(cut)
    for one, other in zip(read, cut, strict=True):
        assert set(other.warnings) <= set(one.warnings)
        assert {w.code for w in set(one.warnings) - set(other.warnings)} <= {
            "sound_wobbles", "sound_drifts",
        }  # fmt: skip
        assert (one.start_s, one.end_s, one.first_frame, one.num_frames, one.has_audio) == (
            other.start_s, other.end_s, other.first_frame, other.num_frames, other.has_audio,
        )  # fmt: skip
    return tuple(read)


@pytest.mark.parametrize("seed", range(IN_CI))
def test_a_drawn_file_is_read_right(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.trial
@pytest.mark.timeout(3_600)
def test_two_thousand_drawn_files_are_read_right(tmp_path: Path) -> None:
    wrong: dict[int, str] = {}
    for seed in range(WHOLE):
        try:
            check(seed, tmp_path)
        except Exception as error:  # all of them are to be named
            wrong[seed] = f"{type(error).__name__}: {error}".splitlines()[0]
    assert not wrong, f"{len(wrong)} of {WHOLE}: {wrong}"

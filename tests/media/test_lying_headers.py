"""Length and rate are those of the packets where the headers cannot be right."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from kinds import KINDS, make_kind
from made_videos import Made, regular, write
from timed_files import audio_retimed, chrome

from mllm_affect.media.export.clip_files import write_clips
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.probe import probe
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Source

Probe = Callable[[Path], Source]


@pytest.mark.parametrize("look", [probe, isolated_video.probe])
@pytest.mark.parametrize(("seconds", "rate"), [(45, 60), (12, 30)])
def test_a_length_counted_in_a_wrong_clock_is_corrected(
    seconds: int, rate: int, look: Probe, tmp_path: Path
) -> None:
    source = look(chrome(tmp_path, seconds, rate))
    assert source.duration_s == pytest.approx(seconds, abs=0.05)
    assert source.average_fps == pytest.approx(rate, rel=0.01)
    assert [one.code for one in source.warnings] == ["headers_corrected"]
    segments = segment(source)
    assert segments[-1].end_s == pytest.approx(seconds, abs=0.05)
    assert sum(part.num_frames for part in segments) == seconds * rate
    assert all("headers_corrected" in {w.code for w in part.warnings} for part in segments)


def test_a_rate_that_is_no_rate_of_the_packets_is_corrected(tmp_path: Path) -> None:
    made = Made(regular(30, 5), (Fraction(0), Fraction(6)), last_s=Fraction(1, 5))
    path = write(tmp_path / "steady.mkv", made)
    source = probe(audio_retimed(path, tmp_path / "stated.mkv", lambda s: s))
    assert source.average_fps == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"avi"}))
def test_nothing_is_said_about_ordinary_files(kind: str, tmp_path: Path) -> None:
    said = {one.code for one in probe(make_kind(kind, tmp_path)[0]).warnings}
    assert said <= {"video_streams", "audio_streams"}


def test_clip_files_of_such_a_video_hold_their_frames(tmp_path: Path) -> None:
    source = probe(chrome(tmp_path, 12, 30))
    segments = segment(source)
    paths = write_clips(source, segments, tmp_path / "clips", trusted=True)
    assert [segment(probe(path))[0].num_frames for path in paths] == [
        part.num_frames for part in segments
    ]

"""Every frame in exactly one segment of at most five seconds, whatever the video."""

import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import irregular
from made_videos import Made, regular, write
from read_video import MadeVideo

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file
from mllm_affect.media.cutting import GreedyCutter
from mllm_affect.media.probe import probe
from mllm_affect.media.segment import segment

ROUNDING = 1e-9
CONTAINER_ROUNDING = 0.0011
"""Matroska and AVI keep milliseconds or frame numbers."""


def test_no_segment_is_longer_than_five_seconds(video: MadeVideo) -> None:
    assert all(0 < part.duration_s <= 5.0 + ROUNDING for part in video.segments)


def test_every_frame_is_in_exactly_one_segment(video: MadeVideo) -> None:
    frames = [
        frame
        for part in video.segments
        for frame in range(part.first_frame, part.first_frame + part.num_frames)
    ]
    assert frames == list(range(len(video.made.times_s)))
    assert [part.index for part in video.segments] == list(range(len(video.segments)))


def test_segments_lie_where_their_frames_lie(video: MadeVideo) -> None:
    for part in video.segments:
        if not part.stands_still:
            begins = float(video.made.times_s[part.first_frame])
            assert part.start_s == pytest.approx(begins, abs=CONTAINER_ROUNDING)
    for one, next_one in pairwise(video.segments):
        assert one.end_s == next_one.start_s


def test_the_tail_is_kept(video: MadeVideo) -> None:
    end = float(video.made.times_s[-1] + video.made.last_s)
    # Matroska states no duration for a frame: a variable rate ends after its mean gap.
    slack = 0.1 if video.path.suffix == ".mkv" else 0.002
    if video.made.sound_s is not None and video.made.sound_s[1] > end + 0.25:
        end, slack = float(video.made.sound_s[1]), 1024 / 48_000  # a coder's whole frames
    assert video.segments[-1].end_s == pytest.approx(end, abs=slack)


def test_sound_is_noted_where_it_is(video: MadeVideo) -> None:
    for part in video.segments:
        sound = video.made.sound_s
        if sound is None or part.end_s <= sound[0] or part.start_s >= sound[1] + 1:
            assert not part.has_audio
        elif part.start_s + 0.1 < sound[1] and part.end_s - 0.1 > sound[0]:
            assert part.has_audio


def test_the_source_is_not_touched(video: MadeVideo) -> None:
    assert sha256_file(video.path) == video.source.sha256
    assert {part.source_sha256 for part in video.segments} == {video.source.sha256}


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        ("exactly 5.000 s", [(0, 125)]),
        ("5.001 s", [(0, 5_000), (5_000, 1)]),
        ("one frame", [(0, 1)]),
        ("0.2 s", [(0, 5)]),
    ],
)
def test_the_border_cases(kind: str, spans: list[tuple[int, int]], tmp_path: Path) -> None:
    from kinds import make_kind

    path, _ = make_kind(kind, tmp_path)
    assert [(p.first_frame, p.num_frames) for p in segment(probe(path))] == spans


def test_a_frame_shown_for_longer_than_the_bound_is_a_segment_of_its_own(tmp_path: Path) -> None:
    times = [*regular(10, 25), Fraction(9), *regular(10, 25, start=10)]
    parts = segment(probe(write(tmp_path / "still.mp4", Made(times))))
    assert sum(part.num_frames for part in parts) == 21
    assert max(part.duration_s for part in parts) <= 5.0 + ROUNDING


def test_another_bound_is_kept(plain: MadeVideo) -> None:
    for bound in (0.1, 1.0, 2.5, 60.0):
        parts = segment(plain.source, bound)
        assert max(part.duration_s for part in parts) <= bound + ROUNDING
        assert sum(part.num_frames for part in parts) == len(plain.made.times_s)


@pytest.mark.parametrize("bound", [0.0, -1.0, 0.05, 61.0, float("nan"), float("inf")])
def test_a_senseless_bound_is_refused(plain: MadeVideo, bound: float) -> None:
    with pytest.raises(UserError) as caught:
        segment(plain.source, bound)
    assert caught.value.code == "bad_max_seconds"


TICKS = st.lists(st.integers(1, 400_000), min_size=1, max_size=200)


def cut(ticks: list[int], last: int, bound: int) -> list[tuple[int, int]]:
    """(first frame, number of frames) of each segment of a timeline."""
    cutter = GreedyCutter(bound)
    placed = [*map(cutter.see, ticks), cutter.finish(last, 1)]
    starts = [each.start_ticks for each in placed if each is not None]
    return [(starts.index(start), starts.count(start)) for start in sorted(set(starts))]


@given(gaps=TICKS, last=st.integers(1, 400_000), bound=st.integers(9_000, 5_400_000))
@settings(derandomize=True, deadline=None)
def test_spans_tile_any_timeline(gaps: list[int], last: int, bound: int) -> None:
    ticks = [sum(gaps[:index]) for index in range(len(gaps))]
    ends = [*ticks[1:], ticks[-1] + last]
    spans = cut(ticks, last, bound)
    assert [f for first, count in spans for f in range(first, first + count)] == list(
        range(len(ticks))
    )
    for number, (first, count) in enumerate(spans):
        assert count == 1 or ends[first + count - 1] - ticks[first] <= bound
        if number + 1 < len(spans):
            following = first + count
            assert ends[following] - ticks[first] > bound, "could have taken one frame more"


@given(seed=st.integers(0, 10_000), seconds=st.floats(0.1, 12.0))
@settings(derandomize=True, deadline=None, max_examples=12)
def test_any_variable_rate_is_tiled(
    tmp_path_factory: pytest.TempPathFactory, seed: int, seconds: float
) -> None:
    times = irregular(seconds, seed)
    path = write(tmp_path_factory.mktemp("any") / "any.mp4", Made(times))
    parts = segment(probe(path))
    assert sum(part.num_frames for part in parts) == len(times)
    assert all(part.duration_s <= 5.0 + ROUNDING for part in parts)
    assert [part.start_s for part in parts] == pytest.approx(
        [float(times[part.first_frame]) for part in parts], abs=sys.float_info.epsilon + 2e-5
    )


def test_a_span_may_be_exactly_as_long_as_the_bound_and_not_a_tick_longer() -> None:
    ticks = [0, 2, 4, 6, 9]
    assert cut(ticks, last=2, bound=6) == [(0, 3), (3, 2)]
    assert cut(ticks, last=2, bound=5) == [(0, 2), (2, 2), (4, 1)]

"""Windows over a long video: which frames they hold and where they lie in time."""

import numpy as np
import pytest

from mllm_affect.expressions.windows import frames_of, overlapping, scanned
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.tasks.family import Scan

SHOWN = Sampling(fps=4.0, max_pixels=1024)
SCAN = Scan(rate=10.0, window_s=0.6, hop_s=0.2)


def segments(seconds: list[float], rate: float = 10.0) -> list[Clip]:
    """Clips of segments one after the other; every frame's first value is its number."""
    clips, start, number = [], 0.0, 0
    for index, length in enumerate(seconds):
        count = round(length * rate)
        numbers = [*range(number, number + count)]
        padded = numbers + numbers[-1:] * (count % 2)
        frames = np.zeros((len(padded), 32, 32, 3), np.uint8)
        frames[:, 0, 0, 0] = padded
        times = np.array([start + (n - number) / rate for n in padded])
        segment = Segment("hash", index, start, start + length, number, count, False)
        clips.append(Clip(segment, scanned(SCAN, SHOWN), frames, times, None))
        start, number = start + length, number + count
    return clips


def held(window: Clip) -> list[int]:
    return window.frames_THWC[:, 0, 0, 0].tolist()


def test_windows_cross_the_cuts_between_segments_and_lose_no_frame() -> None:
    windows = list(overlapping(segments([0.7, 0.5, 0.9]), SCAN, SHOWN))
    assert held(windows[0]) == [0, 1, 2, 3, 4, 5]
    assert held(windows[1]) == [2, 3, 4, 5, 6, 7]
    assert held(windows[-1])[-1] == 20
    assert {number for window in windows for number in held(window)} == set(range(21))
    assert [window.segment.index for window in windows] == list(range(len(windows)))


def test_windows_follow_each_other_by_a_hop_that_does_not_divide_the_window() -> None:
    far = Scan(rate=10.0, window_s=0.6, hop_s=0.5)
    windows = list(overlapping(segments([0.7, 0.5, 0.6]), far, SHOWN))
    assert [held(window) for window in windows] == [
        [0, 1, 2, 3, 4, 5], [5, 6, 7, 8, 9, 10], [10, 11, 12, 13, 14, 15], [12, 13, 14, 15, 16, 17],
    ]  # fmt: skip
    assert [window.segment.start_s for window in windows] == pytest.approx([0.0, 0.5, 1.0, 1.2])
    lone = list(overlapping(segments([0.6]), far, SHOWN))
    assert [held(window) for window in lone] == [[0, 1, 2, 3, 4, 5]]


def test_times_are_the_videos_own_and_the_model_is_shown_its_own_rate() -> None:
    windows = list(overlapping(segments([2.0]), SCAN, SHOWN))
    spans = [(window.segment.start_s, window.segment.end_s) for window in windows]
    assert spans[0] == pytest.approx((0.0, 0.6))
    assert spans[3] == pytest.approx((0.6, 1.2))
    assert spans[-1][1] == pytest.approx(2.0)
    assert {window.sampling for window in windows} == {SHOWN}
    assert scanned(SCAN, SHOWN).fps == 10.0


def test_the_last_window_ends_with_the_video_although_the_hop_does_not() -> None:
    windows = list(overlapping(segments([0.9]), SCAN, SHOWN))
    assert [held(window)[-1] for window in windows] == [5, 7, 8]


def test_a_video_shorter_than_a_window_is_one_window_of_an_even_count() -> None:
    (window,) = overlapping(segments([0.3]), SCAN, SHOWN)
    assert held(window) == [0, 1, 2, 2]
    assert window.segment.num_frames == 3
    assert list(overlapping([], SCAN, SHOWN)) == []


def test_a_window_holds_an_even_number_of_frames() -> None:
    assert frames_of(Scan(rate=13.0, window_s=0.65, hop_s=0.17)) == (8, 2)
    assert frames_of(Scan(rate=12.0, window_s=0.25, hop_s=0.01)) == (4, 1)
    with pytest.raises(ValueError, match="frames would be left out"):
        Scan(window_s=0.5, hop_s=0.6)

"""A timeline shows the right frames at the right times."""

from pathlib import Path

import numpy as np
import pytest
from made_predictions import prediction

from eval.predictions import Prediction
from eval.timeline import longest, spread_frames, video_timeline
from mllm_affect.data.made.folders import write_video


@pytest.fixture(scope="module")
def brightening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of eight seconds that goes from black to white."""
    path = tmp_path_factory.mktemp("video") / "brightening.mp4"
    grey_T = np.linspace(0, 255, 96).astype(np.uint8)
    frames = np.broadcast_to(grey_T[:, None, None, None], (96, 64, 96, 3))
    write_video(np.ascontiguousarray(frames), np.zeros(8 * 16_000, dtype=np.int16), path)
    return path


def test_frames_are_spread_evenly_and_shown_at_their_time(brightening: Path) -> None:
    shown = spread_frames(brightening, count=4)
    assert [item.time_s for item in shown] == pytest.approx([1.0, 3.0, 5.0, 7.0], abs=0.2)
    for item in shown:
        assert item.frame_HWC.mean() == pytest.approx(255 * item.time_s / 8, abs=12)


def test_segments_and_truth_are_joined_with_frames(brightening: Path) -> None:
    rows = prediction("v", "yes", 0.75).segments
    content = video_timeline(brightening, rows, "yes", truth=[(0.0, 5.0)])
    assert [(span.start_s, span.end_s, span.probability) for span in content.spans] == [
        (0.0, 5.0, 0.75),
        (5.0, 7.5, 0.75),
    ]
    assert len(content.thumbnails) == 12
    assert video_timeline(brightening, rows, "yes", thumbnails=False).thumbnails == ()
    assert video_timeline(None, rows, "yes").thumbnails == ()


def test_the_video_with_most_segments_is_shown() -> None:
    short = prediction("a", "yes", 0.9)
    none = prediction("b", "yes", None)
    one = Prediction(**{**short.__dict__, "video": "c", "segments": short.segments[:1]})
    assert longest([none, one, short]) == short
    assert longest([none]) is None

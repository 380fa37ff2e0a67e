"""Frame-level scores worked by hand, and on a real file's own timestamps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_predictions import prediction

from eval.frames import frame_scores, frame_times, labelled_frames
from eval.predictions import Prediction, SegmentPrediction
from mllm_affect.data.examples import Example
from mllm_affect.data.made.folders import write_video
from mllm_affect.errors import UserError

TEN = np.arange(10) * 0.5


def example(video: str, **spans: object) -> Example:
    return Example.model_validate(
        {"video": video, "participant": video[0], "split": "test", "labels": {"ah": "yes"}, **spans}
    )


def answered(video: str, p_first: float, p_second: float, threshold: float = 0.5) -> Prediction:
    """Two segments: frames 0 to 5 and 6 to 9 of ten at two a second."""
    return replace(
        prediction(video, "yes", 0.9, video[0]),
        threshold=threshold,
        segments=(
            SegmentPrediction(0, 0.0, 3.0, "yes", {"yes": p_first, "no": 1 - p_first}),
            SegmentPrediction(1, 3.0, 5.0, "no", {"yes": p_second, "no": 1 - p_second}),
        ),
    )


def scores(predictions: Sequence[Prediction], examples: Sequence[Example]):  # type: ignore[no-untyped-def]
    return frame_scores(predictions, examples, "ah", lambda _: TEN, resamples=50)


def test_counts_worked_by_hand() -> None:
    spans = example("a.mp4", frame_spans={"ah": [[4, 7]]})
    found = scores([answered("a.mp4", 0.8, 0.1)], [spans])
    assert (found.videos, found.frames) == (1, 10)
    assert (found.positive_frames, found.answered_frames) == (4, 6)
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 4 + 2))
    assert found.macro_f1 == pytest.approx((0.4 + 2 * 2 / (2 * 2 + 4 + 2)) / 2)
    assert (found.by_frame, found.by_second, found.unlabelled) == (1, 0, 0)


def test_scores_equal_an_independent_computation() -> None:
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    generator = np.random.default_rng(0)
    predictions, examples, truth, said = [], [], [], []
    for index in range(12):
        first, last = sorted(generator.integers(0, 10, size=2).tolist())
        p_first, p_second = generator.random(2)
        examples.append(example(f"{index}.mp4", frame_spans={"ah": [[first, last]]}))
        predictions.append(answered(f"{index}.mp4", p_first, p_second, threshold=0.4))
        truth += [first <= frame <= last for frame in range(10)]
        said += [p_first >= 0.4] * 6 + [p_second >= 0.4] * 4
    found = scores(predictions, examples)
    assert found.f1 == pytest.approx(f1_score(truth, said))
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))
    assert found.f1_interval.low <= found.f1 <= found.f1_interval.high


def test_seconds_are_looked_up_on_the_frames_own_timestamps() -> None:
    uneven_T = np.array([0.0, 0.1, 0.9, 1.0, 4.0])
    spans = example("a.mp4", spans={"ah": [[0.1, 1.0], [3.5, 9.0]]})
    assert labelled_frames(spans, "ah", uneven_T).tolist() == [False, True, True, False, True]
    both = example("a.mp4", spans={"ah": [[0, 9]]}, frame_spans={"ah": [[1, 1]]})
    assert labelled_frames(both, "ah", uneven_T).tolist() == [False, True, False, False, False]


def test_frames_of_unusable_and_abstained_videos_are_all_wrong() -> None:
    spans = [
        example("a.mp4", frame_spans={"ah": [[0, 4]]}),
        example("b.mp4", frame_spans={"ah": [[0, 4]]}),
    ]
    unusable = prediction("a.mp4", "yes", None, "a")
    reserved = replace(answered("b.mp4", 1.0, 0.0), abstained=True)
    found = scores([unusable, reserved], spans)
    assert (found.f1, found.macro_f1, found.answered_frames) == (0.0, 0.0, 10)


def test_videos_without_frame_labels_or_frames_are_left_out_and_counted() -> None:
    def refuse(video: str) -> np.ndarray:
        if video == "b.mp4":
            raise UserError("unreadable_video", "It cannot be read.")
        return TEN

    spans = [
        example("a.mp4", frame_spans={"ah": []}),
        example("b.mp4", spans={"ah": [[0, 1]]}),
        example("c.mp4"),
    ]
    rows = [answered(item.video, 0.1, 0.1) for item in spans]
    found = frame_scores(rows, spans, "ah", refuse, resamples=5)
    assert found is not None
    assert (found.videos, found.unreadable, found.unlabelled) == (1, 1, 1)
    assert (found.f1, found.macro_f1) == (0.0, 1.0)
    assert frame_scores(rows[2:], spans, "ah", refuse) is None


def test_timestamps_are_those_of_the_file(tmp_path: Path) -> None:
    frames = np.zeros((24, 64, 64, 3), dtype=np.uint8)
    write_video(frames, np.zeros(2 * 16_000, dtype=np.int16), tmp_path / "v.mp4")
    times_T = frame_times(tmp_path / "v.mp4")
    assert len(times_T) == 24
    assert np.diff(times_T) == pytest.approx(np.diff(times_T).mean(), abs=1e-3)

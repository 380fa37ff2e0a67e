"""Frame-level scores worked by hand, and on a real file's own timestamps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_predictions import prediction

from eval.ensembling import combine
from eval.exports.abaw_ah_frames import frame_lines
from eval.frames import frame_scores, frame_times, labelled_frames, segment_answers
from eval.predictions import Prediction, SegmentPrediction
from mllm_affect.data.examples import Example
from mllm_affect.data.made.folders import write_video
from mllm_affect.errors import UserError
from mllm_affect.scoring.calibration import Calibration
from mllm_affect.scoring.rule import Rule

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


def test_answered_and_positive_frames_count_hits_once() -> None:
    # Three of the six answered frames are hits, two positive ones are missed.
    spans = example("a.mp4", frame_spans={"ah": [[3, 7]]})
    found = scores([answered("a.mp4", 0.8, 0.1)], [spans])
    assert (found.positive_frames, found.answered_frames) == (5, 6)
    assert found.f1 == pytest.approx(2 * 3 / (2 * 3 + 3 + 2))


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


def calibrated(item: Prediction, temperature: float | None, bias: float | None) -> Prediction:
    return replace(item, calibration="c" * 64, temperature=temperature, bias=bias)


def test_segments_are_compared_with_the_threshold_on_its_own_scale() -> None:
    """Calibrated, .8 is .69 (logit 1.386 / 1.732) and .1 is .22: at .75 neither is positive."""
    item = answered("a.mp4", 0.8, 0.1, threshold=0.75)
    plain, _ = segment_answers(item, TEN)
    assert plain.tolist() == [True] * 6 + [False] * 4
    told, known = segment_answers(calibrated(item, 3**0.5, 0.0), TEN)
    assert not told.any()
    assert known.all()
    raised, _ = segment_answers(calibrated(item, 1.0, 4.0), TEN)
    assert raised.all(), "a bias moves segments as it moves the video"


@pytest.mark.parametrize("pooling", ["mean", "duration_mean", "max", "noisy_or", "top_k:2"])
def test_a_video_of_one_segment_and_its_frames_are_answered_alike(pooling: str) -> None:
    generator = np.random.default_rng(3)
    for _ in range(60):
        p, threshold = generator.uniform(0.01, 0.99, 2)
        fit = Calibration(*generator.uniform([0.3, -2], [3, 2]))
        rule = Rule("yes", pooling, threshold, fit)
        verdict = rule.verdict([{"yes": p, "no": 1 - p}], [5.0], [])
        item = replace(
            calibrated(answered("a.mp4", p, p, threshold), fit.temperature, fit.bias),
            segments=(SegmentPrediction(0, 0.0, 5.0, "no", {"yes": p, "no": 1 - p}),),
        )
        told, _ = segment_answers(item, TEN)
        assert set(told.tolist()) == {verdict.answer == "yes"}


def test_predictions_that_do_not_say_how_they_were_calibrated_are_left_out_and_counted() -> None:
    spans = [example(f"{n}.mp4", frame_spans={"ah": [[0, 4]]}) for n in "ab"]
    old = calibrated(answered("a.mp4", 0.8, 0.1), None, None)
    found = scores([old, answered("b.mp4", 0.8, 0.1)], spans)
    assert (found.videos, found.unscaled) == (1, 1)
    assert scores([old], spans[:1]) is None
    with pytest.raises(UserError) as caught:
        frame_lines([old], ["a.mp4/frame-0.jpg"], lambda _: TEN)
    assert caught.value.code == "other_predictions"


def test_an_ensemble_of_calibrated_members_mixes_calibrated_segments() -> None:
    one = calibrated(answered("a.mp4", 0.8, 0.1), 2.0, 0.5)
    other = answered("a.mp4", 0.6, 0.3)
    (mixed,) = combine([[one], [other]], "mean")
    assert mixed.calibration is mixed.temperature is mixed.bias is None
    expected = (Calibration(2.0, 0.5).apply(0.8) + 0.6) / 2
    assert mixed.segments[0].probabilities["yes"] == pytest.approx(expected)
    (unknown,) = combine([[calibrated(one, None, None)], [other]], "mean")
    assert unknown.segments == ()

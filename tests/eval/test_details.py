"""What stands beside the headline figures, each part on its own and only where data tell."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_predictions import prediction

from eval.details import Details, before_calibration, details_of, frames_of
from eval.predictions import Prediction
from mllm_affect.data.examples import Example

ROWS = [
    replace(prediction(f"v{n}", "yes" if n % 4 else "no", 0.75, f"p{n // 2}"), topic=str(n % 2))
    for n in range(8)
]


def calibrated(item: Prediction, before: float) -> Prediction:
    return replace(
        item, uncalibrated={"yes": before, "no": 1 - before}, calibration="abc",
        temperature=1.0, bias=0.0, threshold=0.5,
    )  # fmt: skip


def test_nothing_but_topics_without_examples_calibration_or_another_model() -> None:
    found = details_of(ROWS)
    assert [scores.topic for scores in found.topics] == ["0", "1"]
    assert replace(found, topics=()) == Details()


def test_another_model_and_priors_stand_beside_under_their_names() -> None:
    others = [replace(item, answer="no") for item in ROWS]
    examples = [
        Example(video=item.video, participant=item.participant, split="test",
                labels={"ah": item.label or ""}, topic=item.topic)
        for item in ROWS
    ]  # fmt: skip
    found = details_of(ROWS, examples, "ah", against=others, against_name="theirs")
    assert found.against is not None
    assert (found.against.videos, found.against.only_ours, found.against.only_theirs) == (8, 6, 2)
    assert found.against_name == "theirs"
    assert [prior.name for prior in found.priors][:2] == ["always no", "always yes"]


def test_only_calibrated_videos_count_before_calibration() -> None:
    assert before_calibration(ROWS) is None
    rows = [calibrated(item, 0.95) for item in ROWS[:4]]
    found = before_calibration([*rows, *ROWS[4:]])
    assert found is not None
    assert found.videos == 4
    assert found.calibration_error == pytest.approx(0.95 - 3 / 4)
    assert found.brier == pytest.approx((3 * 0.05**2 + 0.95**2) / 4)
    # Two people, each of whose videos may be redrawn twice: hit rates of 1/2, 3/4 or 1.
    assert found.calibration_error_interval.low == pytest.approx(0.05)
    assert found.calibration_error_interval.high == pytest.approx(0.45)
    (one,) = found.calibration
    assert (one.low, one.count, one.hit_rate) == (pytest.approx(0.9), 4, 3 / 4)
    missing = [replace(rows[0], answer=None)]
    assert before_calibration(missing) is None


def test_frames_are_told_as_they_are_decoded_and_only_where_due(tmp_path: Path) -> None:
    def example(video: str, **spans: object) -> Example:
        return Example.model_validate(
            {"video": video, "participant": "p", "split": "t", "labels": {"ah": "yes"}, **spans}
        )

    seen: list[tuple[int, int]] = []
    examples = [
        example("v0", frame_spans={"ah": [[0, 1]]}), example("v1", spans={"ah": [[0.0, 1.0]]}),
        example("v2"), example("elsewhere", spans={"ah": [[0.0, 1.0]]}),
    ]  # fmt: skip
    assert frames_of(ROWS, examples[2:], "ah", tmp_path) is None
    for name in ("v0", "v1"):
        (tmp_path / name).write_bytes(b"no video")
    found = frames_of(ROWS, examples, "ah", tmp_path, lambda done, due: seen.append((done, due)))
    assert found is None, "no video could be decoded"
    assert all(due == 2 for _, due in seen)

"""What a reader is shown about a set of predictions."""

import pytest
from made_predictions import prediction

from eval.predictions import Prediction
from eval.summary import summarise
from mllm_affect.errors import UserError


def test_figures_of_a_small_set() -> None:
    rows = [
        prediction("a", "yes", 0.9),
        prediction("b", "yes", 0.4),
        prediction("c", "no", 0.2),
        prediction("d", "no", None),
    ]
    summary = summarise(rows)
    assert (summary.videos, summary.right, summary.unparsed) == (4, 2, 1)
    assert summary.accuracy == 0.5
    assert summary.majority_accuracy == 0.5
    assert summary.confusion == ((1, 1, 0), (0, 1, 1))
    assert summary.with_probabilities == 3
    assert summary.brier == pytest.approx((0.1**2 + 0.6**2 + 0.2**2) / 3)
    assert summary.accuracy_interval.low < 0.2 < 0.8 < summary.accuracy_interval.high
    assert summary.as_dict()["accuracy_interval"]["low"] == summary.accuracy_interval.low


def test_an_unusable_answer_ranks_as_a_confident_wrong_one() -> None:
    sure = [prediction("a", "yes", 0.9), prediction("b", "no", 0.1)]
    assert summarise(sure).average_precision == 1.0
    assert summarise([*sure, prediction("c", "no", None)]).average_precision == 0.5
    assert summarise([*sure, prediction("c", "yes", None)]).average_precision < 0.9


def test_all_right_still_has_an_honest_interval() -> None:
    summary = summarise([prediction(f"v{index}", "yes", 0.9) for index in range(20)])
    assert summary.accuracy == 1.0
    assert summary.accuracy_interval.low == pytest.approx(0.839, abs=1e-3)


def test_clustered_mistakes_widen_the_interval() -> None:
    def rows(people: int) -> list[Prediction]:
        return [
            prediction(f"v{index}", "yes", 0.9 if index % 100 < 70 else 0.1, f"p{index % people}")
            for index in range(100)
        ]

    spread, clustered = (
        summarise(rows(100)),
        summarise(
            [prediction(f"v{i}", "yes", 0.9 if i < 70 else 0.1, f"p{i // 10}") for i in range(100)]
        ),
    )
    assert clustered.accuracy == spread.accuracy
    assert clustered.accuracy_interval.low < spread.accuracy_interval.low - 0.1


def test_a_task_without_a_positive_answer_has_no_average_precision() -> None:
    row = Prediction(
        video="a", participant="p", split="", task="gaze", label="left", answer="left",
        classes=("left", "right", "centre"), probabilities={"left": 0.8, "right": 0.2},
    )  # fmt: skip
    summary = summarise([row])
    assert summary.average_precision is None
    assert summary.calibration[0].mean_probability == pytest.approx(0.8)


def test_no_probabilities_no_calibration() -> None:
    summary = summarise([prediction("a", "yes", None)])
    assert summary.brier is None
    assert summary.calibration_error is None
    assert summary.accuracy == 0.0


def test_nothing_or_a_mixture_is_refused() -> None:
    with pytest.raises(UserError, match="no predictions"):
        summarise([])
    mixed = [prediction("a", "yes", 0.5), prediction("b", "yes", 0.5, task="other")]
    with pytest.raises(UserError, match="ah, other"):
        summarise(mixed)

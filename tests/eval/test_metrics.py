"""Known answers, and an independent computation where there is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import metrics

YES_NO = ("yes", "no")


def test_constant_answers_give_the_published_priors_of_the_test_set() -> None:
    labels = ["yes"] * 318 + ["no"] * (525 - 318)
    all_no = metrics.confusion(labels, ["no"] * 525, YES_NO)
    all_yes = metrics.confusion(labels, ["yes"] * 525, YES_NO)
    assert metrics.macro_f1(all_no) == pytest.approx(0.2828, abs=5e-5)
    assert metrics.macro_f1(all_yes) == pytest.approx(0.3772, abs=5e-5)


def test_an_unusable_answer_is_wrong_and_stays_in_the_denominator() -> None:
    table = metrics.confusion(["yes", "yes", "no"], ["yes", None, "maybe"], YES_NO)
    assert table.counts_LA.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert metrics.accuracy(table) == pytest.approx(1 / 3)
    yes, no = metrics.per_class(table)
    assert (yes.precision, yes.recall, yes.f1) == (1.0, 0.5, pytest.approx(2 / 3))
    assert no.f1 == 0.0


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        metrics.confusion(["perhaps"], ["yes"], YES_NO)
    with pytest.raises(ValueError, match="2 labels"):
        metrics.confusion(["yes", "no"], ["yes"], YES_NO)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_scores_equal_an_independent_computation(pairs: list[tuple[str, str]]) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    labels, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    table = metrics.confusion(labels, answers, tuple("abc"))
    assert metrics.accuracy(table) == pytest.approx(sklearn_metrics.accuracy_score(labels, answers))
    assert metrics.macro_f1(table) == pytest.approx(
        sklearn_metrics.f1_score(labels, answers, average="macro", zero_division=0)
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=2).filter(
        lambda rows: any(hit for _, hit in rows)
    )
)
def test_average_precision_equals_an_independent_computation(rows: list[tuple[int, bool]]) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    probability_N = np.array([tenth / 10 for tenth, _ in rows])
    positive_N = np.array([hit for _, hit in rows])
    assert metrics.average_precision(probability_N, positive_N) == pytest.approx(
        sklearn_metrics.average_precision_score(positive_N, probability_N)
    )


def test_challenge_average_precision_punishes_bunched_probabilities() -> None:
    positive_N = np.array([True] * 50 + [False] * 50)
    bunched = np.where(positive_N, 0.9, 0.1)
    assert metrics.challenge_average_precision(bunched, positive_N) == pytest.approx(0.5)
    hard = positive_N.astype(float)
    assert metrics.challenge_average_precision(hard, positive_N) == 0.0
    assert metrics.average_precision(bunched, positive_N) == 1.0
    spread = np.where(positive_N, np.linspace(0.5, 0.9989, 100), np.linspace(0, 0.49, 100))
    assert metrics.challenge_average_precision(spread, positive_N) > 0.98


def test_average_precisions_without_positives_are_zero() -> None:
    nothing = np.array([False, False])
    assert metrics.average_precision(np.array([0.1, 0.9]), nothing) == 0.0
    assert metrics.challenge_average_precision(np.array([0.1, 0.9]), nothing) == 0.0


def test_calibration_error_is_the_weighted_gap() -> None:
    probability_N = np.array([0.85, 0.85, 0.85, 0.85, 0.15, 1.0])
    hit_N = np.array([True, True, False, False, False, True])
    bins = metrics.calibration_bins(probability_N, hit_N)
    assert [item.count for item in bins] == [1, 4, 1]
    assert [item.hit_rate for item in bins] == [0.0, 0.5, 1.0]
    expected = (0.15 * 1 + 0.35 * 4 + 0.0) / 6
    assert metrics.expected_calibration_error(bins) == pytest.approx(expected)
    assert metrics.expected_calibration_error(()) == 0.0


def test_brier_score_of_two_answers_is_the_familiar_one() -> None:
    p = np.array([0.9, 0.3])
    score = metrics.brier_score(np.stack([p, 1 - p], axis=1), np.array([0, 0]))
    assert score == pytest.approx((0.1**2 + 0.7**2) / 2)
    assert metrics.brier_score(np.zeros((0, 2)), np.array([], dtype=np.int64)) == 0.0


def test_majority_answer_prefers_the_first_class_on_a_tie() -> None:
    assert metrics.majority_answer(["no", "yes"], YES_NO) == "yes"
    assert metrics.majority_answer(["no", "no", "yes"], YES_NO) == "no"


def test_a_class_that_never_occurs_does_not_lower_macro_f1() -> None:
    table = metrics.confusion(["a", "b"], ["a", "b"], ("a", "b", "c"))
    assert metrics.macro_f1(table) == 1.0
    assert metrics.per_class(table)[2].f1 is None


def organisers_average_precision(probability_N: np.ndarray, positive_N: np.ndarray) -> float:
    """The definition read aloud, threshold by threshold."""
    area, last = 0.0, None
    for threshold in reversed(np.arange(0, 1, 0.001)):
        predicted = [p >= threshold for p in probability_N]
        hits = sum(one and hit for one, hit in zip(predicted, positive_N, strict=True))
        recall = hits / sum(positive_N)
        precision = hits / sum(predicted) if any(predicted) else 0.0
        if last is not None:
            area += (recall - last[0]) * (precision + last[1]) / 2
        last = (recall, precision)
    return area


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.booleans()), min_size=2, max_size=25).filter(
        lambda rows: any(hit for _, hit in rows)
    )
)
def test_challenge_average_precision_equals_its_definition(rows: list[tuple[int, bool]]) -> None:
    probability_N = np.array([count / 2000 for count, _ in rows])
    positive_N = np.array([hit for _, hit in rows])
    assert metrics.challenge_average_precision(probability_N, positive_N) == pytest.approx(
        organisers_average_precision(probability_N, positive_N)
    )


def test_the_organisers_thresholds_are_theirs_to_the_last_bit() -> None:
    """numpy.arange(0, 1, .001) lies above k / 1000 at some k: k / 1000 does not reach it."""
    thresholds = np.arange(0, 1, 0.001)
    k = int(np.flatnonzero(thresholds > np.arange(1000) / 1000)[0])
    probability_N, positive_N = np.array([k / 1000, k / 1000 - 1e-9]), np.array([True, False])
    found = metrics.challenge_average_precision(probability_N, positive_N)
    assert found == organisers_average_precision(probability_N, positive_N) == 0.25


def test_per_class_scores_worked_by_hand() -> None:
    labels = ["yes"] * 5 + ["no"] * 3
    answers = ["yes", "yes", "yes", "no", None, "no", "yes", "no"]
    yes, no = metrics.per_class(metrics.confusion(labels, answers, YES_NO))
    assert (yes.precision, yes.recall, yes.f1) == (3 / 4, 3 / 5, pytest.approx(6 / 9))
    assert (no.precision, no.recall, no.f1) == (2 / 3, 2 / 3, pytest.approx(4 / 6))

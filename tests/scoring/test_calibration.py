"""Temperature scaling and thresholds on labelled probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import intervals, metrics
from mllm_affect.errors import UserError
from mllm_affect.scoring.calibration import Calibration, fit_calibration
from mllm_affect.scoring.logits import segment_logit
from mllm_affect.scoring.measures import (
    by_participant,
    calibration_error,
    macro_f1,
    negative_log_likelihood,
)
from mllm_affect.scoring.thresholds import check_policy, choose_threshold


def overconfident(videos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are three times too large, and labels drawn from the true ones."""
    random = np.random.default_rng(seed)
    logit_N = random.normal(0, 1.5, videos)
    positive_N = random.random(videos) < 1 / (1 + np.exp(-logit_N))
    return 1 / (1 + np.exp(-3 * logit_N)), positive_N


def test_the_temperature_that_was_put_in_is_found_and_mends_the_error() -> None:
    told_N, positive_N = overconfident(4000)
    fitted = fit_calibration(told_N, positive_N, with_bias=True)
    assert fitted.temperature == pytest.approx(3.0, rel=0.1)
    assert fitted.bias == pytest.approx(0.0, abs=0.1)
    fresh_N, label_N = overconfident(4000, seed=1)
    assert calibration_error(fresh_N, label_N) > 0.1
    assert calibration_error(fitted.apply_all(fresh_N), label_N) < 0.03


def test_a_bias_is_fitted_only_where_it_is_wanted() -> None:
    told_N, positive_N = overconfident(500)
    shifted_N = Calibration(bias=2.0).apply_all(told_N)
    assert fit_calibration(shifted_N, positive_N, with_bias=False).bias == 0.0
    assert fit_calibration(shifted_N, positive_N, with_bias=True).bias == pytest.approx(
        -2 / 3, abs=0.25
    )


def test_faultless_separation_changes_little() -> None:
    told_N = np.array([0.01, 0.02, 0.03, 0.97, 0.98, 0.99] * 7)
    fitted = fit_calibration(told_N, told_N > 0.5, with_bias=True)
    assert 0.5 < fitted.temperature < 1.0
    assert abs(fitted.bias) < 0.1
    assert 0.97 < fitted.apply(0.97) < 0.9999


def test_without_evidence_nothing_changes() -> None:
    told_N = np.array([0.4, 0.4, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6])
    positive_N = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0], dtype=bool)
    fitted = fit_calibration(told_N, positive_N, with_bias=True)
    assert fitted.temperature == pytest.approx(1.0, abs=0.01)
    assert fitted.bias == pytest.approx(0.0, abs=0.05)


def test_labels_of_one_kind_cannot_calibrate() -> None:
    with pytest.raises(UserError) as caught:
        fit_calibration(np.array([0.2, 0.4]), np.array([True, True]), with_bias=False)
    assert caught.value.code == "one_sided_labels"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_calibration_keeps_the_order(one: float, other: float, t: float, b: float) -> None:
    low, high = sorted((one, other))
    assert Calibration(t, b).apply(low) <= Calibration(t, b).apply(high)
    assert Calibration().apply(one) == pytest.approx(one, abs=1e-11)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
)
def test_the_measures_are_those_of_the_report(
    videos: list[tuple[float, bool]], threshold: float
) -> None:
    told_N = np.array([told for told, _ in videos])
    positive_N = np.array([positive for _, positive in videos])
    bins = metrics.calibration_bins(told_N, positive_N)
    assert calibration_error(told_N, positive_N) == pytest.approx(
        metrics.expected_calibration_error(bins)
    )
    table = metrics.confusion(
        ["yes" if positive else "no" for positive in positive_N],
        ["yes" if told >= threshold else "no" for told in told_N],
        ("yes", "no"),
    )
    assert macro_f1(told_N, positive_N, threshold) == pytest.approx(metrics.macro_f1(table))


def test_likelihood_by_hand() -> None:
    value = negative_log_likelihood(np.array([0.5, 0.25]), np.array([True, False]))
    assert value == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)
    assert np.isfinite(negative_log_likelihood(np.array([0.0]), np.array([True])))


def test_intervals_redraw_participants() -> None:
    right_N = np.array([1.0] * 10 + [0.0] * 10)
    apart = by_participant(lambda p: right_N[p].mean(), [str(n) for n in range(20)], seed=0)
    clustered = by_participant(lambda p: right_N[p].mean(), ["a"] * 10 + ["b"] * 10, seed=0)
    assert apart[0] > 0.2
    assert clustered == (0.0, 1.0)


def test_thresholds_by_hand() -> None:
    told_N = np.array([0.1, 0.2, 0.3, 0.7, 0.8])
    positive_N = np.array([False, False, False, True, True])
    assert choose_threshold("fixed", told_N, positive_N) == 0.5
    assert choose_threshold("plateau", told_N, positive_N) == pytest.approx(0.5)
    assert choose_threshold("prevalence", told_N, positive_N) == pytest.approx(0.5)
    assert choose_threshold("plateau", told_N / 2, positive_N) == pytest.approx(0.25)


def test_a_plateau_is_preferred_to_a_lucky_spike() -> None:
    low_N, high_N = np.linspace(0.02, 0.3, 50), np.linspace(0.6, 0.98, 50)
    told_N = np.concatenate([low_N, high_N, [0.1, 0.8]])
    positive_N = np.concatenate([np.zeros(50), np.ones(50), [1, 0]]).astype(bool)
    assert choose_threshold("plateau", told_N, positive_N) == pytest.approx(0.45, abs=0.01)


@given(st.lists(st.integers(1, 999), min_size=1, max_size=30, unique=True), st.data())
def test_prevalence_answers_as_often_as_it_is_so(told: list[int], data: st.DataObject) -> None:
    positive = data.draw(st.lists(st.booleans(), min_size=len(told), max_size=len(told)))
    spread_N = np.array(told) / 1000
    threshold = choose_threshold("prevalence", spread_N, np.array(positive))
    assert int((spread_N >= threshold).sum()) == sum(positive)


def test_an_unknown_policy() -> None:
    assert check_policy("plateau") == "plateau"
    with pytest.raises(UserError, match="prevalence"):
        check_policy("best")


def test_the_logit_of_a_segment_stays_exact_where_the_engine_is_sure() -> None:
    sure = {"yes": 1.0, "no": 1e-20}
    assert segment_logit(sure, "yes") == pytest.approx(20 * np.log(10))
    assert segment_logit(sure, "no") == pytest.approx(-20 * np.log(10))
    three = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert segment_logit(three, "a") == pytest.approx(0.0)


def test_intervals_are_those_of_the_report_up_to_their_draws() -> None:
    random = np.random.default_rng(4)
    value_N = np.repeat(random.uniform(0, 1, 40), 3) + random.normal(0, 0.05, 120)
    people = [str(n // 3) for n in range(120)]
    low, high = by_participant(lambda p: float(value_N[p].mean()), people, seed=1)
    told = intervals.by_participant(lambda p: float(value_N[p].mean()), people, seed=2)
    assert (low, high) == pytest.approx((told.low, told.high), abs=0.02)
    alone = intervals.by_participant(
        lambda p: float(value_N[p].mean()), [str(n) for n in range(120)], seed=2
    )
    assert high - low > 1.4 * (alone.high - alone.low), "whole people are redrawn"

"""Temperature scaling and thresholds on labelled probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from eval import intervals, metrics
from mllm_affect.errors import UserError
from mllm_affect.scoring.calibration import Calibration, fit_calibration
from mllm_affect.scoring.logits import logit, segment_logit, sigmoid
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


@pytest.mark.parametrize("with_bias", [False, True])
def test_the_fit_is_the_minimum_that_the_module_states(with_bias: bool) -> None:
    """Negative log-likelihood plus standard normals on log(temperature) and bias, by a search."""
    told_N, positive_N = overconfident(30, seed=3)
    logit_N = np.log(told_N / (1 - told_N))

    def stated(point: np.ndarray) -> float:
        log_temperature, bias = point[0], point[1] if with_bias else 0.0
        score_N = logit_N / np.exp(log_temperature) + bias
        likelihood = np.where(positive_N, -np.log1p(np.exp(-score_N)), -np.log1p(np.exp(score_N)))
        return float(-likelihood.sum() + log_temperature**2 / 2 + bias**2 / 2)

    found = minimize(
        stated, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
    )
    fitted = fit_calibration(told_N, positive_N, with_bias)
    assert fitted.temperature == pytest.approx(np.exp(found.x[0]), rel=1e-3)
    assert fitted.bias == pytest.approx(found.x[1] if with_bias else 0.0, abs=1e-3)


def test_the_temperature_stays_within_its_bounds() -> None:
    positive_N = np.arange(20_000) % 2 == 0
    nearly_even_N = np.where(positive_N, 0.5001, 0.4999)
    assert fit_calibration(nearly_even_N, positive_N, False).temperature == pytest.approx(0.05)
    sure_N = np.where(np.arange(20_000) % 4 < 2, 1.0, 0.0)  # and as often wrong as right
    assert fit_calibration(sure_N, positive_N, False).temperature == pytest.approx(100.0)


def test_labels_of_one_kind_cannot_calibrate() -> None:
    with pytest.raises(UserError) as caught:
        fit_calibration(np.array([0.2, 0.4]), np.array([True, True]), with_bias=False)
    assert caught.value.code == "one_sided_labels"
    assert "2 positive and 0 negative" in str(caught.value)
    with pytest.raises(UserError, match="0 positive and 2 negative"):
        fit_calibration(np.array([0.2, 0.4]), np.array([False, False]), with_bias=False)


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
    for told, positive in ((0.0, True), (1.0, False)):
        value = negative_log_likelihood(np.array([told]), np.array([positive]))
        assert value == pytest.approx(12 * np.log(10), rel=1e-5), "held 1e-12 away from the ends"


def test_ten_bins_and_the_highest_probability_is_in_the_last() -> None:
    told_N, positive_N = np.array([0.91, 1.0, 0.05]), np.array([True, False, False])
    assert calibration_error(told_N, positive_N) == pytest.approx((0.91 + 0.05) / 3)
    apart_N = np.array([0.89, 0.91])
    assert calibration_error(apart_N, np.array([True, False])) == pytest.approx((0.11 + 0.91) / 2)
    assert calibration_error(apart_N, np.array([True, False]), bins=2) == pytest.approx(0.8 / 2)


def test_a_class_that_nobody_named_is_left_out_of_the_f1() -> None:
    everything_N = np.array([True, True])
    assert macro_f1(np.array([0.5, 0.6]), everything_N, 0.5) == 1.0
    assert macro_f1(np.array([0.5, 0.4]), everything_N, 0.5) == pytest.approx((2 / 3 + 0) / 2)


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
    assert choose_threshold("fixed", told_N / 2, positive_N) == 0.5
    assert choose_threshold("prevalence", told_N / 2, positive_N) == pytest.approx(0.25)


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


def test_a_threshold_for_all_or_none_lies_half_way_to_the_end() -> None:
    told_N = np.array([0.2, 0.6])
    assert choose_threshold("prevalence", told_N, np.array([True, True])) == pytest.approx(0.1)
    assert choose_threshold("prevalence", told_N, np.array([False, False])) == pytest.approx(0.8)
    assert choose_threshold("prevalence", told_N, np.array([False, True])) == pytest.approx(0.4)


@pytest.mark.parametrize("turned", [False, True])
def test_the_widest_plateau_is_taken_whether_it_comes_first_or_last(turned: bool) -> None:
    """One video among many on each side of .5 leaves two plateaus, of .3 and of .4."""
    told_N = np.array([0.1, 0.1, 0.1, 0.4, 0.5, 0.9, 0.9, 0.9])
    positive_N = np.array([0, 0, 0, 1, 0, 1, 1, 1], dtype=bool)
    if turned:
        assert choose_threshold("plateau", 1 - told_N, ~positive_N) == pytest.approx(0.3)
    else:
        assert choose_threshold("plateau", told_N, positive_N) == pytest.approx(0.7)


def test_a_plateau_holds_what_is_within_a_hundredth_of_the_best() -> None:
    """From .1 to .3 one more is right than from .3 on: 2 of 1,000, which is no difference."""
    told_N = np.concatenate([np.full(500, 0.1), np.full(499, 0.9), [0.3]])
    positive_N = np.arange(1000) >= 500
    assert choose_threshold("plateau", told_N, positive_N) == pytest.approx((0.1 + 0.9) / 2)
    few_N = np.concatenate([np.full(5, 0.1), np.full(4, 0.9), [0.3]])
    positive_N = np.arange(10) >= 5
    assert choose_threshold("plateau", few_N, positive_N) == pytest.approx((0.1 + 0.3) / 2)


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
    assert segment_logit(three, "b") == pytest.approx(np.log(0.3 / 0.7))
    never = {"yes": 0.0, "no": 1.0}
    assert segment_logit(never, "yes") == pytest.approx(-43 * np.log(10))
    assert segment_logit(never, "no") == pytest.approx(43 * np.log(10))


def test_logits_are_held_away_from_infinity() -> None:
    assert logit(0.0) == pytest.approx(-12 * np.log(10))
    assert logit(1.0) == pytest.approx(12 * np.log(10), rel=1e-5)
    assert logit(0.25) == pytest.approx(-np.log(3))
    assert (sigmoid(1000.0), sigmoid(-1000.0), sigmoid(0.0)) == (1.0, 0.0, 0.5)
    assert sigmoid(-np.log(3)) == pytest.approx(0.25)


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

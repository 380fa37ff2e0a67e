"""Intervals: a textbook value, clusters, and repeatability."""

import numpy as np
import pytest

from eval.intervals import (
    Interval,
    by_participant,
    middle,
    participant_draws,
    resampled_sums,
    wilson,
)


def test_wilson_known_values() -> None:
    interval = wilson(8, 10)
    assert (interval.low, interval.high) == (
        pytest.approx(0.4902, abs=1e-4),
        pytest.approx(0.9433, abs=1e-4),
    )
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert wilson(20, 20).high == pytest.approx(1.0)
    assert wilson(20, 20).low == pytest.approx(0.8389, abs=1e-4)


def test_the_challenges_interval_is_about_four_points() -> None:
    low_high = wilson(378, 525)
    assert (low_high.high - low_high.low) / 2 == pytest.approx(0.038, abs=0.002)


def test_redrawing_participants_is_wider_than_redrawing_videos() -> None:
    generator = np.random.default_rng(1)
    right_of_person = generator.random(30) < 0.7
    right_N = np.repeat(right_of_person, 10).astype(float)
    people = [f"person-{index // 10}" for index in range(300)]
    videos = [f"video-{index}" for index in range(300)]

    def width(names: list[str]) -> float:
        interval = by_participant(lambda rows: float(right_N[rows].mean()), names)
        return interval.high - interval.low

    assert width(people) > 2 * width(videos)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.arange(20.0)
    names = [str(index) for index in range(20)]

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    assert by_participant(mean, names, seed=3) == by_participant(mean, names, seed=3)
    assert by_participant(mean, names, seed=3) != by_participant(mean, names, seed=4)


def test_no_examples_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        by_participant(lambda _: 0.0, [])


def test_joined_holds_both() -> None:
    assert Interval(0.2, 0.5).joined(Interval(0.3, 0.9)) == Interval(0.2, 0.9)


def test_sums_of_redraws_are_those_of_the_redrawn_rows() -> None:
    names = ["b", "a", "b", "c", "a", "b"]
    value_NK = np.arange(12.0).reshape(6, 2) ** 2
    sums_RK = resampled_sums(value_NK, names, seed=5, resamples=30)
    drawn = list(participant_draws(names, seed=5, resamples=30))
    assert len(drawn) == 30
    assert np.allclose(sums_RK, [value_NK[rows].sum(axis=0) for rows in drawn])
    # Whole people: every row of one comes as often as his others.
    for rows in drawn:
        times = np.bincount(rows, minlength=6)
        assert times[0] == times[2] == times[5]
        assert times[1] == times[4]
        assert times[0] + times[1] + times[3] == 3


def test_the_middle_leaves_out_what_does_not_exist() -> None:
    values = np.append(np.linspace(0.0, 1.0, 41), [np.nan] * 7)
    found = middle(values)
    assert (found.low, found.high) == (pytest.approx(0.025), pytest.approx(0.975))
    assert middle(np.array([np.nan])) == Interval(0.0, 1.0)

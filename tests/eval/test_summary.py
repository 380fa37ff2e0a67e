"""What a reader is shown about a set of predictions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_predictions import prediction

from eval.arrays import AnswerArrays
from eval.predictions import MISSING, Prediction
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


def test_an_abstained_answer_is_wrong_in_the_main_figures_and_told_both_ways() -> None:
    rows = [
        prediction("a", "yes", 0.9),
        prediction("b", "no", 0.1),
        replace(prediction("c", "no", 0.2), abstained=True),
        replace(prediction("d", "yes", 0.3), abstained=True),
        replace(prediction("e", "no", None), problem=MISSING),
    ]
    summary = summarise(rows, resamples=20)
    assert (summary.abstained, summary.unparsed, summary.missing) == (2, 1, 1)
    assert summary.accuracy == 2 / 5
    assert summary.confusion == ((1, 0, 1), (0, 1, 2))
    assert summary.macro_f1 == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert summary.with_probabilities == 2
    assert summary.selective.coverage == 2 / 5
    assert (summary.selective.accuracy, summary.selective.macro_f1) == (1.0, 1.0)
    assert summary.selective.forced_accuracy == 3 / 5
    assert summary.average_precision < 1.0  # type: ignore[operator]


def test_nothing_answered_has_no_selective_figures() -> None:
    summary = summarise([replace(prediction("a", "yes", 0.9), abstained=True)], resamples=20)
    assert (summary.selective.coverage, summary.selective.accuracy) == (0.0, None)


ROWS = st.lists(
    st.tuples(st.sampled_from(("yes", "no")), st.none() | st.floats(0, 1), st.integers(0, 4)),
    min_size=1,
    max_size=30,
)


def rows_of(drawn: list[tuple[str, float | None, int]]) -> list[Prediction]:
    return [
        prediction(f"v{place}", label, p_yes, f"p{person}")
        for place, (label, p_yes, person) in enumerate(drawn)
    ]


@settings(deadline=None, max_examples=40)
@given(ROWS, st.randoms())
def test_every_figure_is_bounded_and_blind_to_the_order_of_rows(drawn, random) -> None:  # type: ignore[no-untyped-def]
    rows = rows_of(drawn)
    summary = summarise(rows, resamples=5)
    shuffled = rows.copy()
    random.shuffle(shuffled)
    other = summarise(shuffled, resamples=5)
    for name in (
        "accuracy", "macro_f1", "calibration_error", "brier",
        "average_precision", "challenge_average_precision",
    ):  # fmt: skip
        value = getattr(summary, name)
        if value is not None:
            assert 0.0 <= value <= 1.0
            assert value == pytest.approx(getattr(other, name), abs=1e-12)
            interval = getattr(summary, f"{name}_interval")
            assert 0.0 <= interval.low <= interval.high <= 1.0
        else:
            assert getattr(other, name) is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=40))
def test_brier_and_binned_calibration_equal_independent_computations(
    drawn: list[tuple[bool, float]],
) -> None:
    brier_score_loss = pytest.importorskip("sklearn.metrics").brier_score_loss
    rows = [
        prediction(f"v{place}", "yes" if hit else "no", p_yes)
        for place, (hit, p_yes) in enumerate(drawn)
    ]
    summary = summarise(rows, resamples=2)
    hits = [hit for hit, _ in drawn]
    p_yes = [p for _, p in drawn]
    assert summary.brier == pytest.approx(brier_score_loss(hits, p_yes, labels=[False, True]))
    gap = 0.0
    for tenth in range(10):
        inside = [
            (hit, p) for hit, p in drawn
            if tenth == min(int(p * 10), 9)
        ]  # fmt: skip
        gap += abs(sum(hit - p for hit, p in inside))
    assert summary.calibration_error == pytest.approx(gap / len(drawn))


def test_every_interval_is_wider_when_videos_of_one_person_agree() -> None:
    generator = np.random.default_rng(2)
    rows = []
    for person in range(24):
        good = generator.random() < 0.65
        for video in range(8):
            label = ("yes", "no")[video % 2]
            sure = generator.uniform(0.55, 0.95)
            p_yes = sure if (label == "yes") == good else 1 - sure
            rows.append(prediction(f"{person}-{video}", label, p_yes, f"p{person}"))
    clustered = summarise(rows, resamples=400)
    apart = summarise([replace(row, participant=row.video) for row in rows], resamples=400)
    for name in ("macro_f1", "average_precision", "challenge_average_precision", "brier"):
        wide, narrow = (getattr(found, f"{name}_interval") for found in (clustered, apart))
        assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low), name


def test_redrawn_figures_are_those_of_the_redrawn_rows() -> None:
    rows = rows_of([("yes", 0.9, 0), ("no", 0.6, 1), ("no", None, 2), ("yes", 0.2, 3)])
    positions = np.array([0, 0, 1, 3, 3, 2])
    arrays, redrawn = AnswerArrays.of(rows), AnswerArrays.of([rows[i] for i in positions])
    for name in ("accuracy", "macro_f1", "brier", "calibration_error", "average_precision"):
        at_positions, whole = getattr(arrays, name)(positions), getattr(redrawn, name)
        assert at_positions == pytest.approx(whole(redrawn.everything)), name


def test_faultless_answers_have_faultless_intervals_though_a_class_is_rare() -> None:
    """Redraws of eight people often lack the one `a`: its F1 does not exist there, it is not 0."""
    rows = [
        Prediction(
            video=f"v{n}", participant=f"p{n}", split="test", task="t", label=label, answer=label,
            classes=("a", "b", "c"),
        )
        for n, label in enumerate("abcbcbcb")
    ]  # fmt: skip
    summary = summarise(rows)
    assert (summary.macro_f1_interval.low, summary.macro_f1_interval.high) == (1.0, 1.0)

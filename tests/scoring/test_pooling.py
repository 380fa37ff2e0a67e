"""Pooling over segments and the decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_affect.errors import UserError
from mllm_affect.scoring.pooling import POOLINGS, check_pooling, decide, pool

SHORT_SURE = [{"yes": 0.9, "no": 0.1}, {"yes": 0.2, "no": 0.8}]


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("mean", 0.55),
        ("duration_mean", (0.9 * 1 + 0.2 * 4) / 5),
        ("max", 0.9),
        ("noisy_or", 1 - 0.1 * 0.8),
    ],
)
def test_each_pooling_by_hand(name: str, yes: float) -> None:
    pooled = pool(name, SHORT_SURE, [1.0, 4.0], positive="yes")
    assert pooled == pytest.approx({"yes": yes, "no": 1 - yes})


def test_without_a_positive_every_answer_is_pooled_alike() -> None:
    segments = [{"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 0.1, "b": 0.8, "c": 0.1}]
    pooled = pool("max", segments, [1.0, 1.0])
    assert pooled == pytest.approx({"a": 0.6 / 1.5, "b": 0.8 / 1.5, "c": 0.1 / 1.5})


def test_the_others_share_what_the_positive_leaves() -> None:
    segments = [{"a": 0.5, "b": 0.4, "c": 0.1}]
    assert pool("noisy_or", segments, [2.0], "a") == pytest.approx({"a": 0.5, "b": 0.4, "c": 0.1})
    sure = [{"a": 1.0, "b": 0.0, "c": 0.0}]
    assert pool("max", sure, [2.0], "a") == pytest.approx({"a": 1.0, "b": 0.0, "c": 0.0})


def test_durations_of_zero_count_alike() -> None:
    assert pool("duration_mean", SHORT_SURE, [0.0, 0.0], "yes")["yes"] == pytest.approx(0.55)


distributions = st.lists(
    st.floats(0, 1).map(lambda p: {"yes": p, "no": 1 - p}), min_size=1, max_size=6
)


@given(st.sampled_from(sorted(POOLINGS)), distributions, st.sampled_from(["yes", None]))
def test_pooled_probabilities_sum_to_one_and_one_segment_stays(
    name: str, segments: list[dict[str, float]], positive: str | None
) -> None:
    pooled = pool(name, segments, [1.5] * len(segments), positive)
    assert sum(pooled.values()) == pytest.approx(1.0)
    assert all(-1e-12 <= p <= 1 + 1e-12 for p in pooled.values())
    if len(segments) == 1:
        assert pooled == pytest.approx(segments[0])


def test_decisions() -> None:
    assert decide({"yes": 0.4, "no": 0.6}, "yes", threshold=0.4) == "yes"
    assert decide({"yes": 0.4, "no": 0.6}, "yes", threshold=0.41) == "no"
    assert decide({"a": 0.4, "b": 0.35, "c": 0.25}, None, threshold=0.9) == "a"
    assert decide({"a": 0.6, "b": 0.1, "c": 0.3}, "a", threshold=0.7) == "c"


def test_an_unknown_pooling() -> None:
    with pytest.raises(UserError, match="duration_mean") as caught:
        check_pooling("median")
    assert caught.value.code == "unknown_pooling"

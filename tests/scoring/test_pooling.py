"""Pooling over segments and the decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_affect.errors import UserError
from mllm_affect.scoring.logits import logit, sigmoid
from mllm_affect.scoring.pooling import (
    CANDIDATES,
    POOLINGS,
    check_pooling,
    decide,
    find_pooling,
    pool,
    with_chance,
)

SHORT_SURE = [{"yes": 0.9, "no": 0.1}, {"yes": 0.2, "no": 0.8}]


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("mean", 0.55),
        ("duration_mean", (0.9 * 1 + 0.2 * 4) / 5),
        ("max", 0.9),
        ("noisy_or", 1 - 0.1 * 0.8),
        ("top_k:1", 0.9),
        ("top_k:2", 0.55),
        ("top_k:9", 0.55),
        ("logit_mean", 0.6),  # odds 9 and 1/4: their geometric mean is 3/2
        ("log_sum_exp:1", 4.625 / 5.625),  # the mean of the odds
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


def test_the_others_share_alike_where_no_segment_gives_them_anything() -> None:
    sure = [{"a": 1.0, "b": 0.0, "c": 0.0}]
    assert with_chance(0.8, sure, [2.0], "a") == pytest.approx({"a": 0.8, "b": 0.1, "c": 0.1})
    mixed = [{"a": 0.0, "b": 0.9, "c": 0.1}, {"a": 0.0, "b": 0.2, "c": 0.8}]
    found = with_chance(0.5, mixed, [1.0, 4.0], "a")
    assert found == pytest.approx({"a": 0.5, "b": 0.5 * 1.7 / 5, "c": 0.5 * 3.3 / 5})


def test_durations_of_zero_count_alike() -> None:
    assert pool("duration_mean", SHORT_SURE, [0.0, 0.0], "yes")["yes"] == pytest.approx(0.55)


NAMES = sorted({*CANDIDATES, *POOLINGS, "top_k:1", "log_sum_exp:0.5"})
chances = st.lists(st.floats(0, 1), min_size=1, max_size=6)
distributions = chances.map(lambda ps: [{"yes": p, "no": 1 - p} for p in ps])
inner = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6)


@given(st.sampled_from(NAMES), distributions, st.sampled_from(["yes", None]))
def test_pooled_probabilities_sum_to_one_and_one_segment_stays(
    name: str, segments: list[dict[str, float]], positive: str | None
) -> None:
    pooled = pool(name, segments, [1.5] * len(segments), positive)
    assert sum(pooled.values()) == pytest.approx(1.0)
    assert all(-1e-12 <= p <= 1 + 1e-12 for p in pooled.values())
    if len(segments) == 1:
        assert pooled == pytest.approx(segments[0])


@given(st.sampled_from(NAMES), inner)
def test_pooled_lies_between_the_segments_unless_chances_add_up(name: str, ps: list[float]) -> None:
    pooled = find_pooling(name)(ps, [1.0] * len(ps))
    assert pooled >= min(ps) - 1e-9
    assert pooled <= (1.0 if name == "noisy_or" else max(ps) + 1e-9)


@given(st.sampled_from(NAMES), chances, st.data())
def test_a_more_probable_segment_never_makes_the_video_less_probable(
    name: str, ps: list[float], data: st.DataObject
) -> None:
    durations = data.draw(st.lists(st.floats(0.04, 5), min_size=len(ps), max_size=len(ps)))
    raised = list(ps)
    place = data.draw(st.integers(0, len(ps) - 1))
    raised[place] = data.draw(st.floats(ps[place], 1))
    pool_one = find_pooling(name)
    assert pool_one(raised, durations) >= pool_one(ps, durations) - 1e-9


@given(st.sampled_from(NAMES), chances, st.randoms(use_true_random=False))
def test_the_order_of_segments_does_not_count(name: str, ps: list[float], random: object) -> None:
    pairs = [(p, 1.0 + place) for place, p in enumerate(ps)]
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    pool_one = find_pooling(name)
    assert pool_one(*map(list, zip(*pairs, strict=True))) == pytest.approx(
        pool_one(*map(list, zip(*shuffled, strict=True))), abs=1e-12
    )


@given(inner)
def test_log_sum_exp_goes_from_the_mean_to_the_maximum(ps: list[float]) -> None:
    durations = [1.0] * len(ps)
    at = [find_pooling(f"log_sum_exp:{r}")(ps, durations) for r in (1e-6, 0.3, 1, 3, 10, 1e6)]
    assert at[0] == pytest.approx(find_pooling("logit_mean")(ps, durations), abs=1e-4)
    assert at[-1] == pytest.approx(max(ps), abs=1e-4)
    assert at == pytest.approx(sorted(at), abs=1e-6)


def test_a_second_counts_as_much_in_a_long_segment_as_in_a_short_one() -> None:
    split = find_pooling("duration_mean")([0.2, 0.2, 0.8], [1.0, 2.0, 1.0])
    assert split == pytest.approx(find_pooling("duration_mean")([0.2, 0.8], [3.0, 1.0]))


@given(st.floats(1e-9, 1 - 1e-9))
def test_a_logit_and_back(p: float) -> None:
    assert sigmoid(logit(p)) == pytest.approx(p, abs=1e-12)


def test_decisions() -> None:
    assert decide({"yes": 0.4, "no": 0.6}, "yes", threshold=0.4) == "yes"
    assert decide({"yes": 0.4, "no": 0.6}, "yes", threshold=0.41) == "no"
    assert decide({"a": 0.4, "b": 0.35, "c": 0.25}, None, threshold=0.9) == "a"
    assert decide({"a": 0.4, "b": 0.4, "c": 0.2}, None, threshold=0.9) == "a"
    assert decide({"a": 0.6, "b": 0.1, "c": 0.3}, "a", threshold=0.7) == "c"


@pytest.mark.parametrize(
    "name",
    [
        "median",
        "top_k",
        "top_k:",
        "top_k:0",
        "top_k:1.5",
        "log_sum_exp:-1",
        "max:2",
        "top_k:inf",
        "log_sum_exp:nan",
        "log_sum_exp:0",
        "log_sum_exp:inf",
    ],
)
def test_an_unknown_pooling(name: str) -> None:
    with pytest.raises(UserError, match="duration_mean") as caught:
        check_pooling(name)
    assert caught.value.code == "unknown_pooling"

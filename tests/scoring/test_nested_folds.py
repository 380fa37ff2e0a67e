"""Figures of a choice are those of people that nothing was chosen on: pooling, scale, threshold."""

import numpy as np
import pytest

from mllm_affect.errors import UserError
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.scoring.calibration import fit_calibration
from mllm_affect.scoring.fitting import FittingPlan, Origin, ScoredVideo, fit_scoring
from mllm_affect.scoring.measures import macro_f1_of
from mllm_affect.scoring.nested_folds import (
    ChoiceSettings,
    LabelledVideos,
    answer_held_out,
    choose_rule,
    deal_participants,
)
from mllm_affect.scoring.scoring_file import TaskScoring
from mllm_affect.tasks.prompts import load_task

AH = load_task("ah")
PEOPLE, EACH = 24, 3


def scored(seed: int, strength: float) -> list[ScoredVideo]:
    """Two dozen people; the model's probabilities know the label by `strength` standard errors."""
    random = np.random.default_rng(seed)
    videos = []
    for number in range(PEOPLE * EACH):
        positive = bool(random.random() < 0.5)
        logits = random.normal(strength * (1 if positive else -1), 1, int(random.integers(2, 5)))
        chances = 1 / (1 + np.exp(-logits))
        videos.append(
            ScoredVideo(
                participant=f"{seed}-{number // EACH}",
                label="yes" if positive else "no",
                distributions=[{"yes": float(p), "no": float(1 - p)} for p in chances],
                durations_s=[5.0] * len(chances),
            )
        )
    return videos


def fitted(seed: int, strength: float) -> TaskScoring:
    plan = FittingPlan(poolings=("mean", "max"), folds=3, threshold="plateau")
    return fit_scoring(AH, SEGMENTER, 5.0, scored(seed, strength), plan, Origin())


def test_probabilities_that_know_nothing_are_reported_as_chance() -> None:
    found = [fitted(seed, strength=0.0).out_of_fold for seed in range(30)]
    values = np.array([figures.macro_f1 for figures in found])
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 0.02
    assert abs(values.mean() - 0.5) < 2.5 * error
    holding = [one.macro_f1_interval[0] <= 0.5 <= one.macro_f1_interval[1] for one in found]
    assert np.mean(holding) >= 0.85


def test_a_signal_is_reported_as_new_people_get_it() -> None:
    gaps = []
    for seed in range(20):
        scoring = fitted(seed, strength=0.4)
        fresh = scored(1000 + seed, strength=0.4)
        pooled = choose_rule_probability(fresh, scoring)
        said_N = pooled >= scoring.threshold
        gaps.append(scoring.out_of_fold.macro_f1 - macro_f1_of(said_N, labels(fresh)))
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 2.5 * error


def choose_rule_probability(videos: list[ScoredVideo], scoring: TaskScoring) -> np.ndarray:
    from mllm_affect.scoring.calibration import Calibration
    from mllm_affect.scoring.pooling import find_pooling

    pool_one = find_pooling(scoring.pooling)
    pooled_N = np.array(
        [pool_one([p["yes"] for p in item.distributions], item.durations_s) for item in videos]
    )
    return Calibration(scoring.temperature, scoring.bias).apply_all(pooled_N)


def labels(videos: list[ScoredVideo]) -> np.ndarray:
    return np.array([item.label == "yes" for item in videos])


def noise(seed: int, poolings: int, people: int = 20) -> LabelledVideos:
    random = np.random.default_rng(seed)
    positive_N = np.arange(2 * people) % 2 == 0
    names = tuple(f"p{number // 2}" for number in range(2 * people))
    return LabelledVideos(
        names, positive_N, {f"n{n}": random.random(2 * people) for n in range(poolings)}
    )


def test_a_pooling_is_chosen_again_without_the_people_who_are_judged() -> None:
    """The best of twenty columns of noise looks good on the videos that it was chosen on."""
    settings = ChoiceSettings(folds=3, seed=0, with_bias=True, threshold="fixed")
    kept, chosen = [], []
    for seed in range(12):
        videos = noise(seed, poolings=20)
        rule = choose_rule(videos, settings)
        chosen.append(macro_f1_of(rule.out_of_fold[rule.pooling] >= 0.5, videos.positive_N))
        kept.append(macro_f1_of(answer_held_out(videos, settings).said_N, videos.positive_N))
    assert np.mean(chosen) > 0.58
    assert np.mean(kept) < 0.53


def test_each_probability_out_of_fold_comes_from_a_fit_to_the_other_folds() -> None:
    settings = ChoiceSettings(folds=4, seed=3, with_bias=True, threshold="fixed")
    videos = noise(seed=5, poolings=1)
    fold_N = deal_participants(videos.participants, videos.positive_N, 4, 3)
    rule = choose_rule(videos, settings)
    assert rule.folds == len(set(fold_N.tolist())) == 4
    for fold in range(4):
        others_N = fold_N != fold
        fit = fit_calibration(videos.pooled["n0"][others_N], videos.positive_N[others_N], True)
        expected_N = fit.apply_all(videos.pooled["n0"][~others_N])
        assert rule.out_of_fold["n0"][~others_N] == pytest.approx(expected_N)


def test_people_too_few_for_inner_folds_are_still_held_out() -> None:
    """Two folds of one person each side: the rest of a fold cannot be dealt again."""
    positive_N = np.array([True, False, True, False])
    videos = LabelledVideos(
        ("a", "a", "b", "b"), positive_N, {"mean": np.array([0.9, 0.2, 0.7, 0.1])}
    )
    settings = ChoiceSettings(folds=5, seed=0, with_bias=True, threshold="plateau")
    answers = answer_held_out(videos, settings)
    assert answers.said_N.tolist() == positive_N.tolist()
    with pytest.raises(UserError) as caught:
        answer_held_out(LabelledVideos(("a", "b"), positive_N[:2], {}), settings)
    assert caught.value.code == "few_participants"

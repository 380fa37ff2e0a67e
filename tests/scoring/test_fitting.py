"""The scoring that is fitted on labelled videos: which pooling, how calibrated, from what."""

import numpy as np
import pytest

from mllm_affect.errors import UserError
from mllm_affect.media.cutting import SEGMENTER
from mllm_affect.scoring.calibration import Calibration
from mllm_affect.scoring.fitting import (
    FittingPlan,
    Origin,
    ScoredVideo,
    fit_scoring,
)
from mllm_affect.scoring.measures import calibration_error
from mllm_affect.scoring.nested_folds import deal_participants
from mllm_affect.scoring.pooling import find_pooling
from mllm_affect.scoring.scoring_file import TaskScoring
from mllm_affect.tasks.prompts import load_task, question_task

AH = load_task("ah")


def one_telling_segment(videos: int, seed: int) -> list[ScoredVideo]:
    """A positive video shows it in one of its 1 to 8 segments; the model is far too sure."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(videos):
        segments = int(random.integers(1, 9))
        positive = bool(random.random() < 0.5)
        logits = random.normal(-6, 4, segments)
        if positive:
            logits[random.integers(segments)] = random.normal(6, 4)
        chances = 1 / (1 + np.exp(-3 * logits))
        made.append(
            ScoredVideo(
                participant=f"{seed}-{number // 4}",
                label="yes" if positive else "no",
                distributions=[{"yes": float(p), "no": float(1 - p)} for p in chances],
                durations_s=[5.0] * segments,
            )
        )
    return made


def fit(videos: list[ScoredVideo], **plan: object) -> TaskScoring:
    return fit_scoring(AH, SEGMENTER, 5.0, videos, FittingPlan(**plan), Origin(split="val"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def videos() -> list[ScoredVideo]:
    return one_telling_segment(320, seed=0)


@pytest.fixture(scope="module")
def fitted(videos: list[ScoredVideo]) -> TaskScoring:
    return fit(videos)


def test_the_pooling_that_fits_the_videos_is_chosen_and_all_are_listed(
    fitted: TaskScoring,
) -> None:
    assert fitted.pooling in {"max", "log_sum_exp:4", "noisy_or", "log_sum_exp:1"}
    listed = {item.pooling: item for item in fitted.choice.candidates}
    assert set(listed) == set(FittingPlan().poolings)
    best = listed[fitted.pooling]
    assert all(
        best.negative_log_likelihood <= item.negative_log_likelihood for item in listed.values()
    )
    assert best.macro_f1 > listed["mean"].macro_f1
    for item in listed.values():
        low, high = item.macro_f1_interval
        assert low < item.macro_f1 < high
    assert fitted.choice.folds == 5


def test_calibration_holds_on_people_it_never_saw(fitted: TaskScoring) -> None:
    fresh = one_telling_segment(1500, seed=1)
    pool_one = find_pooling(fitted.pooling)
    told_N = np.array(
        [pool_one([p["yes"] for p in video.distributions], video.durations_s) for video in fresh]
    )
    label_N = np.array([video.label == "yes" for video in fresh])
    calibrated_N = Calibration(fitted.temperature, fitted.bias).apply_all(told_N)
    assert calibration_error(calibrated_N, label_N) < calibration_error(told_N, label_N)
    assert calibration_error(calibrated_N, label_N) <= 0.05
    assert fitted.out_of_fold.negative_log_likelihood < fitted.before.negative_log_likelihood


def test_what_it_was_made_from_is_recorded_and_the_same_videos_give_the_same_id(
    videos: list[ScoredVideo], fitted: TaskScoring
) -> None:
    made = fitted.made_from
    assert (made.videos, made.participants, made.split) == (320, 80, "val")
    assert made.positives == sum(video.label == "yes" for video in videos)
    assert (fitted.prompt_hash, fitted.sampling) == (AH.prompt_hash, AH.sampling)
    assert fit(videos).id == fitted.id
    assert fit(videos[:-1]).id != fitted.id


def test_a_plan_corrects_a_bias_and_has_a_fixed_threshold_unless_it_says_otherwise() -> None:
    random = np.random.default_rng(0)
    videos = []
    for number in range(200):
        positive = bool(number % 2)
        chance = float(1 / (1 + np.exp(-random.normal(2.0 if positive else 0.0, 1.0) - 1.0)))
        label = "yes" if positive else "no"
        told = [{"yes": chance, "no": 1 - chance}]
        videos.append(ScoredVideo(f"p{number // 4}", label, told, [5.0]))
    usual = fit(videos, poolings=("mean",))
    assert usual.bias < -0.5, "the model says yes far too often"
    assert fit(videos, poolings=("mean",), with_bias=False).bias == 0.0
    assert (usual.threshold_policy, usual.threshold) == ("fixed", 0.5)
    assert fit(videos).choice.folds == 5


def test_a_single_pooling_is_taken_without_a_choice(videos: list[ScoredVideo]) -> None:
    scoring = fit(videos, poolings=("mean",), threshold="prevalence")
    assert (scoring.pooling, scoring.choice.folds) == ("mean", 0)
    assert scoring.threshold_policy == "prevalence"
    with pytest.raises(UserError, match="median"):
        fit(videos, poolings=("median",))


def test_nobody_is_in_two_folds_and_each_fold_has_both_labels() -> None:
    random = np.random.default_rng(0)
    people = [f"p{n}" for n in random.integers(0, 12, 120)]
    positive_N = np.array([int(name[1:]) % 2 == 0 for name in people])
    fold_N = deal_participants(people, positive_N, folds=5, seed=3)
    for name in set(people):
        assert len({int(f) for f, who in zip(fold_N, people, strict=True) if who == name}) == 1
    assert set(fold_N.tolist()) == {0, 1, 2, 3, 4}
    for fold in range(5):
        assert 0 < positive_N[fold_N == fold].mean() < 1


def video(participant: str, label: str) -> ScoredVideo:
    return ScoredVideo(participant, label, [{"yes": 0.5, "no": 0.5}], [5.0])


@pytest.mark.parametrize(
    ("videos", "code"),
    [
        ([video("a", "yes"), video("b", "yes")], "one_sided_labels"),
        ([], "one_sided_labels"),
        ([video("a", "yes"), video("a", "no")], "few_participants"),
        ([video("a", "yes"), video("b", "no")], "few_participants"),
    ],
)
def test_videos_that_nothing_can_be_fitted_to(videos: list[ScoredVideo], code: str) -> None:
    with pytest.raises(UserError) as caught:
        fit(videos)
    assert caught.value.code == code


def test_a_task_without_a_positive_answer() -> None:
    task = question_task("Which?", ("a", "b", "c"))
    with pytest.raises(UserError) as caught:
        fit_scoring(task, SEGMENTER, 5.0, [], FittingPlan(), Origin())
    assert caught.value.code == "no_positive_answer"

"""Priors: what needs no model, fitted on the training split and on nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from made_predictions import prediction

from eval import logistic
from eval.arrays import AnswerArrays
from eval.hedges import english, words_of
from eval.predictions import Prediction
from eval.priors import (
    QUESTION,
    WORDS,
    Prior,
    priors_beside,
    question_features,
    word_features,
)
from mllm_affect.data.examples import Example

RATES = {"1": 0.25, "4": 0.75, "7": 0.7}


def people(split: str, seed: int, text: bool = True) -> list[Example]:
    """Sixty participants asked three questions each; hesitant ones hedge half of the time."""
    generator = np.random.default_rng(seed)
    found = []
    for person in range(60):
        for topic, rate in RATES.items():
            yes = generator.random() < rate
            hedged = generator.random() < (0.9 if yes else 0.1)
            said = "Well, maybe, I guess so, um, not sure." if hedged else "Yes, I will do that."
            found.append(
                Example(
                    video=f"{split}-{person}-{topic}.mp4", participant=f"{split}-{person}",
                    split=split, labels={"ah": "yes" if yes else "no"}, topic=topic,
                    transcript=said if text else None,
                )
            )  # fmt: skip
    return found


TRAIN, TEST = people("train", 1), people("test", 2)


def model_rows(examples: list[Example]) -> list[Prediction]:
    return [
        prediction(item.video, item.labels["ah"], 0.9 if item.labels["ah"] == "yes" else 0.2,
                   item.participant)
        for item in examples
    ]  # fmt: skip


def named(priors: tuple[Prior, ...]) -> dict[str, Prior]:
    return {prior.name: prior for prior in priors}


def test_each_prior_gets_what_its_knowledge_is_worth() -> None:
    found = named(priors_beside(model_rows(TEST), [*TRAIN, *TEST], "ah", resamples=200))
    assert list(found) == ["always no", "always yes", QUESTION, WORDS]
    scores = {name: prior.scores for name, prior in found.items()}
    assert all(scores.values())
    positives = sum(item.labels["ah"] == "yes" for item in TEST)
    assert scores["always yes"].accuracy == pytest.approx(positives / len(TEST))
    assert scores["always yes"].macro_f1 == pytest.approx(positives / (positives + len(TEST)))
    by_topic = [(RATES[item.topic or ""] > 0.5) == (item.labels["ah"] == "yes") for item in TEST]
    assert scores[QUESTION].accuracy == pytest.approx(np.mean(by_topic))
    assert scores[WORDS].macro_f1 > scores[QUESTION].macro_f1 > scores["always yes"].macro_f1
    for one in scores.values():
        assert one.macro_f1_interval.low <= one.macro_f1 <= one.macro_f1_interval.high
        assert one.lead.macro_f1 == pytest.approx(1.0 - one.macro_f1)
        assert one.lead.macro_f1_interval.low > 0.0


def test_labels_of_the_evaluated_videos_are_never_fitted_on() -> None:
    turned = [
        item.model_copy(update={"labels": {"ah": "no" if item.labels["ah"] == "yes" else "yes"}})
        for item in TEST
    ]
    one = named(priors_beside(model_rows(TEST), [*TRAIN, *TEST], "ah", resamples=5))
    other = named(priors_beside(model_rows(turned), [*TRAIN, *turned], "ah", resamples=5))
    assert one[WORDS].scores.accuracy == pytest.approx(1 - other[WORDS].scores.accuracy)


def test_validation_videos_are_not_fitted_on() -> None:
    """Many more of them than of training videos, and labelled the other way round."""
    turned = [
        item.model_copy(
            update={
                "video": f"{copy}-{item.video}", "participant": f"val-{item.participant}",
                "split": "val", "labels": {"ah": "no" if item.labels["ah"] == "yes" else "yes"},
            }
        )
        for copy in range(3) for item in TRAIN
    ]  # fmt: skip
    without = named(priors_beside(model_rows(TEST), [*TRAIN, *TEST], "ah", resamples=5))
    beside = named(priors_beside(model_rows(TEST), [*TRAIN, *turned, *TEST], "ah", resamples=5))
    assert beside == without


def test_hedges_tell_where_texts_are_equally_long() -> None:
    said = {"yes": "Well maybe I guess so.", "no": "Yes I will do that."}
    assert len({len(words_of(text)) for text in said.values()}) == 1

    def worded(item: Example) -> Example:
        return item.model_copy(update={"transcript": said[item.labels["ah"]]})

    examples = [*map(worded, TRAIN), *map(worded, TEST)]
    found = named(priors_beside(model_rows(TEST), examples, "ah", resamples=5))
    assert found[QUESTION].scores.macro_f1 < 0.9
    assert found[WORDS].scores.macro_f1 == 1.0


def test_a_prior_is_the_usual_ridge_regression() -> None:
    """Few people are enough for a difference between questions: the penalty is 1, as is usual."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    few = [item for item in TRAIN if int(item.participant.split("-")[1]) < 12]
    found = named(priors_beside(model_rows(TEST), [*few, *TEST], "ah", resamples=5))
    topics = sorted(RATES)
    hit_N = [item.labels["ah"] == "yes" for item in few]
    for name, features in ((QUESTION, question_features), (WORDS, word_features)):
        usual = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
        usual.fit(scaler.fit_transform(features(few, topics)), hit_N)
        p_N = usual.predict_proba(scaler.transform(features(TEST, topics)))[:, 1]
        rows = [
            replace(
                row, answer="yes" if p >= 0.5 else "no",
                probabilities={"yes": float(p), "no": float(1 - p)},
            )
            for row, p in zip(model_rows(TEST), p_N, strict=True)
        ]  # fmt: skip
        expected = AnswerArrays.of(rows)
        assert found[name].scores.macro_f1 == pytest.approx(expected.macro_f1(expected.everything))
        challenge = expected.challenge_average_precision(expected.everything)
        assert found[name].scores.challenge_average_precision == pytest.approx(challenge, abs=1e-6)


def test_a_participant_on_both_sides_makes_a_prior_unavailable() -> None:
    leaked = TEST[0].model_copy(update={"video": "again.mp4", "split": "train"})
    found = named(priors_beside(model_rows(TEST), [*TRAIN, leaked, *TEST], "ah", resamples=5))
    assert found[QUESTION].scores is None
    assert "1 participants are in 'train'" in found[QUESTION].unavailable
    assert found["always no"].scores is not None


def test_what_is_not_known_is_said() -> None:
    bare = [item.model_copy(update={"topic": None}) for item in [*TRAIN, *TEST]]
    assert (
        "topics"
        in named(priors_beside(model_rows(TEST), bare, "ah", resamples=5))[QUESTION].unavailable
    )
    mute = [*people("train", 1, text=False), *people("test", 2, text=False)]
    found = named(priors_beside(model_rows(TEST), mute, "ah", resamples=5))
    assert found[QUESTION].scores is not None
    assert "transcripts" in found[WORDS].unavailable
    only = named(priors_beside(model_rows(TEST), TEST, "ah", resamples=5))
    assert "'train'" in only[QUESTION].unavailable
    strangers = named(priors_beside(model_rows(TEST), TRAIN, "ah", resamples=5))
    assert "not known" in strangers[QUESTION].unavailable
    aimless = [replace(row, positive=None) for row in model_rows(TEST)]
    without = named(priors_beside(aimless, [*TRAIN, *TEST], "ah", resamples=5))
    assert without[WORDS].scores is None


def test_the_regression_equals_an_independent_one() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    generator = np.random.default_rng(0)
    feature_NF = generator.normal(size=(120, 4)) * [1, 10, 0.1, 0] + [0, 5, 0, 3]
    hit_N = feature_NF[:, 0] + feature_NF[:, 2] * 8 + generator.normal(size=120) > 0
    for penalty in (0.1, 1.0, 10.0):
        ours = logistic.fit(feature_NF, hit_N, penalty).probabilities(feature_NF)
        other = linear_model.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
        scaled_NF = scaler.fit_transform(feature_NF)
        theirs = other.fit(scaled_NF, hit_N).predict_proba(scaled_NF)[:, 1]
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_a_regression_on_separated_data_stays_finite_and_one_sided_data_is_refused() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    p_N = logistic.fit(x, np.array([False, False, True, True])).probabilities(x)
    assert np.all(np.diff(p_N) > 0)
    assert 0.0 < p_N[0] < 0.5 < p_N[3] < 1.0
    with pytest.raises(ValueError, match="hits and misses"):
        logistic.fit(x, np.array([True] * 4))


def test_hedges_are_counted_as_whole_words_in_any_spelling() -> None:
    hedges = english()
    assert hedges.language == "en"
    assert hedges.count(words_of("Umbrella, forum, likely.")) == 0
    assert hedges.count(words_of("UM... I don\N{RIGHT SINGLE QUOTATION MARK}t know; kind of?")) == 3
    assert words_of("It's 5 o'clock, naïve_one") == ["it's", "5", "o'clock", "naïve", "one"]

"""What one gets without looking at anybody: constant answers, the question, the words' count.

Does: answer every video by each prior, fitted on the training split alone.  Does not: ask a model
or report.

A model is worth its cost where it beats these.  `question` knows which question was asked;
`question and words` also how long the transcript is and how much it hedges (eval.hedges).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eval import intervals, logistic, metrics
from eval.arrays import AnswerArrays
from eval.comparing import Comparison, compare
from eval.hedges import english, words_of
from eval.intervals import Interval
from eval.predictions import Prediction
from mllm_affect.data.examples import Example

PENALTY = 1.0
THRESHOLD = 0.5

QUESTION = "question"
WORDS = "question and words"


@dataclass(frozen=True)
class PriorScores:
    """A prior's figures, and the model's `lead` over it (model minus prior, redrawn together)."""

    macro_f1: float
    macro_f1_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    average_precision: float | None
    challenge_average_precision: float | None
    lead: Comparison


@dataclass(frozen=True)
class Prior:
    """One prior; where it could not be made, `scores` is None and `unavailable` says why."""

    name: str
    scores: PriorScores | None
    unavailable: str = ""


def priors_beside(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    label: str,
    train_split: str = "train",
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Prior, ...]:
    """Return every prior beside a model's predictions; the same draws for all of them.

    `examples`: of all splits, the evaluated videos among them.
    """

    def measured(name: str, rows: Sequence[Prediction]) -> Prior:
        return Prior(name, _scores(predictions, rows, seed, resamples))

    constants = [
        measured(f"always {name}", [_constant(item, name) for item in predictions])
        for name in reversed(predictions[0].classes)
    ]
    fitted = []
    for name, features in ((QUESTION, question_features), (WORDS, word_features)):
        rows, unavailable = _fitted(predictions, examples, label, train_split, features)
        fitted.append(measured(name, rows) if rows else Prior(name, None, unavailable))
    return (*constants, *fitted)


def _scores(
    model: Sequence[Prediction], rows: Sequence[Prediction], seed: int, resamples: int
) -> PriorScores:
    arrays = AnswerArrays.of(rows)
    everything, redrawn_RLA = arrays.everything, arrays.redrawn_tables(seed, resamples)
    ranked = arrays.average_precision(everything), arrays.challenge_average_precision(everything)
    usual, challenge = (None if math.isnan(value) else value for value in ranked)
    return PriorScores(
        macro_f1=arrays.macro_f1(everything),
        macro_f1_interval=intervals.middle(metrics.macro_f1_each(redrawn_RLA)),
        accuracy=arrays.accuracy(everything),
        accuracy_interval=intervals.middle(metrics.accuracy_each(redrawn_RLA)),
        average_precision=usual,
        challenge_average_precision=challenge,
        lead=compare(model, rows, seed, resamples),
    )


Features = Callable[[Sequence[Example], Sequence[str]], NDArray[np.float64]]


def question_features(examples: Sequence[Example], topics: Sequence[str]) -> NDArray[np.float64]:
    """One column a topic: 1 where it was asked."""
    return np.array(
        [[float(item.topic == topic) for topic in topics] for item in examples], dtype=np.float64
    )


def word_features(examples: Sequence[Example], topics: Sequence[str]) -> NDArray[np.float64]:
    """Topics, log(1 + words), hedges, and hedges per word; no transcript counts as no word."""
    rows = []
    for item in examples:
        words = words_of(item.transcript or "")
        hedges = english().count(words)
        rows.append([math.log1p(len(words)), float(hedges), hedges / max(1, len(words))])
    return np.column_stack([question_features(examples, topics), np.array(rows)])


def _fitted(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    label: str,
    train_split: str,
    features: Features,
) -> tuple[list[Prediction], str]:
    """Return the prior's predictions, or none and the reason."""
    positive = predictions[0].positive
    train = [item for item in examples if item.split == train_split and label in item.labels]
    by_video = {item.video: item for item in examples}
    asked = [by_video[item.video] for item in predictions if item.video in by_video]
    topics = sorted({item.topic for item in train if item.topic is not None})
    hit_N = np.array([item.labels[label] == positive for item in train])
    reason = _missing(predictions, asked, train, train_split, topics, hit_N, features)
    if reason or positive is None:
        return [], reason or "the task names no positive answer"
    model = logistic.fit(features(train, topics), hit_N, PENALTY)
    p_N = model.probabilities(features(asked, topics))
    rows = zip(predictions, p_N, strict=True)
    return [_with_probability(item, positive, float(p)) for item, p in rows], ""


def _missing(
    predictions: Sequence[Prediction],
    asked: Sequence[Example],
    train: Sequence[Example],
    train_split: str,
    topics: Sequence[str],
    hit_N: NDArray[np.bool_],
    features: Features,
) -> str:
    """Say what keeps a prior from being fitted; empty if nothing does."""
    if len(asked) != len(predictions):
        return "the examples of some predictions are not known"
    if len(set(hit_N.tolist())) < 2:
        return f"the split {train_split!r} does not hold labelled videos of both kinds"
    shared = {item.participant for item in train} & {item.participant for item in asked}
    if shared:
        return f"{len(shared)} participants are in {train_split!r} and in the evaluated videos"
    if not topics:
        return "no topics are known"
    if features is word_features and not any(item.transcript for item in train):
        return "no transcripts are known"
    return ""


def _constant(item: Prediction, answer: str) -> Prediction:
    return _bare(
        item, answer=answer, probabilities={name: float(name == answer) for name in item.classes}
    )


def _with_probability(item: Prediction, positive: str, probability: float) -> Prediction:
    others = [name for name in item.classes if name != positive]
    shares = {name: (1.0 - probability) / len(others) for name in others}
    return _bare(
        item,
        answer=positive if probability >= THRESHOLD else others[0],
        probabilities={positive: probability, **shares},
    )


def _bare(item: Prediction, answer: str, probabilities: dict[str, float]) -> Prediction:
    return replace(
        item, answer=answer, probabilities=probabilities, abstained=False, problem="", segments=()
    )

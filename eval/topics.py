"""The same figures for each question that people were asked.

Does: cut predictions by topic.  Does not: know what a topic means.

How often people are ambivalent depends on the question, so a model that only tells questions apart
looks good over all of them together and no better than a constant within each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eval import intervals, metrics
from eval.arrays import AnswerArrays
from eval.intervals import Interval
from eval.predictions import Prediction

NO_TOPIC = "not known"


@dataclass(frozen=True)
class TopicScores:
    """One topic's figures; `positive_rate` and `answered_rate` are shares of the positive answer
    among labels and among answers, None for a task without one."""

    topic: str
    videos: int
    participants: int
    positive_rate: float | None
    answered_rate: float | None
    accuracy: float
    macro_f1: float
    macro_f1_interval: Interval
    majority_macro_f1: float


def by_topic(
    predictions: Sequence[Prediction], seed: int = 0, resamples: int = 1000
) -> tuple[TopicScores, ...]:
    """Return the figures of every topic, in the topics' order; nothing if no topic is known."""
    if all(item.topic is None for item in predictions):
        return ()
    groups: dict[str, list[Prediction]] = {}
    for item in sorted(predictions, key=lambda item: (item.topic is None, item.topic or "")):
        groups.setdefault(NO_TOPIC if item.topic is None else item.topic, []).append(item)
    return tuple(_scores(topic, rows, seed, resamples) for topic, rows in groups.items())


def _scores(topic: str, rows: Sequence[Prediction], seed: int, resamples: int) -> TopicScores:
    arrays = AnswerArrays.of(rows)
    table = arrays.confusion(arrays.everything)
    labels = [item.label or "" for item in rows]
    majority = metrics.majority_answer(labels, arrays.classes)
    constant = metrics.confusion(labels, [majority] * len(labels), arrays.classes)
    positive = arrays.positive
    return TopicScores(
        topic=topic,
        videos=table.total,
        participants=len(set(arrays.participants)),
        positive_rate=None if positive is None else float((arrays.label_N == positive).mean()),
        answered_rate=None if positive is None else float((arrays.answer_N == positive).mean()),
        accuracy=metrics.accuracy(table),
        macro_f1=metrics.macro_f1(table),
        macro_f1_interval=intervals.middle(
            metrics.macro_f1_each(arrays.redrawn_tables(seed, resamples))
        ),
        majority_macro_f1=metrics.macro_f1(constant),
    )

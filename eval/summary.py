"""From predictions to the figures that a reader is shown.

Does: gather accuracy, macro-F1, average precisions and calibration, each with its interval, the
majority answer, per-class scores and what was counted as wrong.  Does not: print or draw.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from eval import intervals, metrics
from eval.arrays import AnswerArrays
from eval.intervals import Interval
from eval.predictions import Prediction


@dataclass(frozen=True)
class Selective:
    """What abstaining does.

    `coverage`: share of videos with an answer given without reserve.  `accuracy` and `macro_f1`
    are over those alone, None where there are none.  The `forced` figures take every abstained
    answer as if it had been given.
    """

    coverage: float
    accuracy: float | None
    macro_f1: float | None
    forced_accuracy: float
    forced_macro_f1: float


@dataclass(frozen=True)
class Summary:
    """The figures of one task over one set of videos.

    `accuracy_interval` is the wider of two 95 % intervals at either end: Wilson's (which takes
    videos as independent) and the bootstrap over participants (which does not, but collapses when
    every answer is right).  All other intervals are the bootstrap's.  `unparsed` counts videos
    without a usable answer, `missing` those of them that nothing was said about; these and the
    `abstained` count as wrong.  Calibration figures cover the `with_probabilities` videos only:
    bins are over the positive answer's probability, or over that of the answer given when the
    task has no positive answer.  The average precisions cover every video: an unusable answer
    ranks as a confident wrong one.
    """

    task: str
    videos: int
    participants: int
    right: int
    unparsed: int
    missing: int
    abstained: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    majority: str
    majority_accuracy: float
    majority_macro_f1: float
    classes: tuple[metrics.ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    with_probabilities: int
    calibration: tuple[metrics.CalibrationBin, ...]
    calibration_error: float | None
    calibration_error_interval: Interval | None
    brier: float | None
    brier_interval: Interval | None
    average_precision: float | None
    average_precision_interval: Interval | None
    challenge_average_precision: float | None
    challenge_average_precision_interval: Interval | None
    selective: Selective

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def summarise(predictions: Sequence[Prediction], seed: int = 0, resamples: int = 1000) -> Summary:
    """Compute the figures of one task's predictions.

    Raises UserError `no_predictions` (empty) or `mixed_tasks` (several tasks or answer spaces).
    """
    arrays = AnswerArrays.of(predictions)
    table = arrays.confusion(arrays.everything)
    labels = [item.label or "" for item in predictions]
    majority = metrics.majority_answer(labels, arrays.classes)
    constant = metrics.confusion(labels, [majority] * len(labels), arrays.classes)
    redrawn_RLA = arrays.redrawn_tables(seed, resamples)
    accuracy_interval = intervals.middle(metrics.accuracy_each(redrawn_RLA))
    return Summary(
        task=arrays.task,
        videos=table.total,
        participants=len(set(arrays.participants)),
        right=table.right,
        unparsed=sum(item.unparsed for item in predictions),
        missing=sum(item.missing for item in predictions),
        abstained=sum(item.abstained for item in predictions),
        accuracy=metrics.accuracy(table),
        accuracy_interval=accuracy_interval.joined(intervals.wilson(table.right, table.total)),
        macro_f1=metrics.macro_f1(table),
        macro_f1_interval=intervals.middle(metrics.macro_f1_each(redrawn_RLA)),
        majority=majority,
        majority_accuracy=metrics.accuracy(constant),
        majority_macro_f1=metrics.macro_f1(constant),
        classes=metrics.per_class(table),
        confusion=tuple(tuple(int(count) for count in row) for row in table.counts_LA),
        with_probabilities=len(arrays.with_probabilities(arrays.everything)),
        calibration=arrays.calibration(arrays.everything),
        selective=_selective(predictions),
        **_of_probabilities(arrays, seed, resamples),
    )


def _of_probabilities(arrays: AnswerArrays, seed: int, resamples: int) -> dict[str, Any]:
    """Return the figures that need probabilities, with intervals; None where there are none."""
    figures = {
        "calibration_error": arrays.calibration_error,
        "brier": arrays.brier,
        "average_precision": arrays.average_precision,
        "challenge_average_precision": arrays.challenge_average_precision,
    }
    whole = {name: figure(arrays.everything) for name, figure in figures.items()}
    known = [name for name, value in whole.items() if not np.isnan(value)]
    draws = intervals.participant_draws(arrays.participants, seed, resamples)
    value_RK = np.array([[figures[name](drawn) for name in known] for drawn in draws])
    found: dict[str, Any] = {}
    for name in figures:
        found[name] = whole[name] if name in known else None
        found[f"{name}_interval"] = (
            intervals.middle(value_RK[:, known.index(name)]) if name in known else None
        )
    return found


def _selective(predictions: Sequence[Prediction]) -> Selective:
    forced = AnswerArrays.of([replace(item, abstained=False) for item in predictions])
    given = [item for item in predictions if item.answer is not None and not item.abstained]
    answered = AnswerArrays.of(given) if given else None
    return Selective(
        coverage=len(given) / len(predictions),
        accuracy=answered.accuracy(answered.everything) if answered else None,
        macro_f1=answered.macro_f1(answered.everything) if answered else None,
        forced_accuracy=forced.accuracy(forced.everything),
        forced_macro_f1=forced.macro_f1(forced.everything),
    )

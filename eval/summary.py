"""From predictions to the figures that a reader is shown.

Does: gather accuracy with its interval, macro-F1, the majority answer, per-class scores,
calibration and the count of unusable answers.  Does not: print or draw.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval import intervals, metrics
from eval.intervals import Interval
from eval.predictions import Prediction
from mllm_affect.errors import UserError


@dataclass(frozen=True)
class Summary:
    """The figures of one task over one set of videos.

    `accuracy_interval` is the wider of two 95 % intervals at either end: Wilson's (which takes
    videos as independent) and the bootstrap over participants (which does not, but collapses when
    every answer is right).  Calibration figures cover the `with_probabilities` videos only:
    bins are over the positive answer's probability, or over that of the answer given when the
    task has no positive answer.  The average precisions cover every video: an unusable answer
    ranks as a confident wrong one.
    """

    task: str
    videos: int
    participants: int
    right: int
    unparsed: int
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
    brier: float | None
    average_precision: float | None
    challenge_average_precision: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def summarise(predictions: Sequence[Prediction], seed: int = 0, resamples: int = 1000) -> Summary:
    """Compute the figures of one task's predictions.

    Raises UserError `no_predictions` (empty) or `mixed_tasks` (several tasks or answer spaces).
    """
    if not predictions:
        raise UserError("no_predictions", "There are no predictions to measure.")
    spaces = {(item.task, item.classes, item.positive) for item in predictions}
    if len(spaces) > 1:
        names = ", ".join(sorted({item.task for item in predictions}))
        raise UserError("mixed_tasks", f"One summary covers one task; these rows mix {names}.")
    task, classes, positive = next(iter(spaces))
    labels = [item.label for item in predictions]
    table = metrics.confusion(labels, [item.answer for item in predictions], classes)
    majority = metrics.majority_answer(labels, classes)
    constant = metrics.confusion(labels, [majority] * len(labels), classes)
    participants = [item.participant for item in predictions]
    place = {name: index for index, name in enumerate(classes)}
    cells_N = np.array(
        [
            place[item.label] * (len(classes) + 1) + place.get(item.answer or "", len(classes))
            for item in predictions
        ]
    )

    def redrawn(positions: NDArray[np.int64]) -> metrics.Confusion:
        shape = (len(classes), len(classes) + 1)
        counts = np.bincount(cells_N[positions], minlength=shape[0] * shape[1])
        return metrics.Confusion(classes, counts.reshape(shape))

    accuracy_interval = intervals.by_participant(
        lambda positions: metrics.accuracy(redrawn(positions)), participants, seed, resamples
    ).joined(intervals.wilson(table.right, table.total))
    return Summary(
        task=task,
        videos=table.total,
        participants=len(set(participants)),
        right=table.right,
        unparsed=sum(item.unparsed for item in predictions),
        accuracy=metrics.accuracy(table),
        accuracy_interval=accuracy_interval,
        macro_f1=metrics.macro_f1(table),
        macro_f1_interval=intervals.by_participant(
            lambda positions: metrics.macro_f1(redrawn(positions)), participants, seed, resamples
        ),
        majority=majority,
        majority_accuracy=metrics.accuracy(constant),
        majority_macro_f1=metrics.macro_f1(constant),
        classes=metrics.per_class(table),
        confusion=tuple(tuple(int(count) for count in row) for row in table.counts_LA),
        **_calibration(predictions, classes, positive),
    )


def _calibration(
    predictions: Sequence[Prediction], classes: tuple[str, ...], positive: str | None
) -> dict[str, Any]:
    """The figures that need probabilities; None where no video has them."""
    usable = [item for item in predictions if item.probabilities and item.answer is not None]
    if not usable:
        return {
            "with_probabilities": 0,
            "calibration": (),
            "calibration_error": None,
            "brier": None,
            "average_precision": None,
            "challenge_average_precision": None,
        }
    event = [positive if positive is not None else str(item.answer) for item in usable]
    probability_N = np.array(
        [item.probabilities.get(name, 0.0) for item, name in zip(usable, event, strict=True)]
    )
    hit_N = np.array([item.label == name for item, name in zip(usable, event, strict=True)])
    probability_NA = np.array(
        [[item.probabilities.get(name, 0.0) for name in classes] for item in usable]
    )
    label_N = np.array([classes.index(item.label) for item in usable], dtype=np.int64)
    bins = metrics.calibration_bins(probability_N, hit_N)
    return {
        "with_probabilities": len(usable),
        "calibration": bins,
        "calibration_error": metrics.expected_calibration_error(bins),
        "brier": metrics.brier_score(probability_NA, label_N),
        **_average_precisions(predictions, positive),
    }


def _average_precisions(
    predictions: Sequence[Prediction], positive: str | None
) -> dict[str, float | None]:
    """Both average precisions of the positive answer; None for a task without one."""
    if positive is None:
        return {"average_precision": None, "challenge_average_precision": None}
    positive_N = np.array([item.label == positive for item in predictions])
    probability_N = np.array(
        [
            float(item.label != positive)
            if item.unparsed
            else item.probabilities.get(positive, 0.0)
            for item in predictions
        ]
    )
    return {
        "average_precision": metrics.average_precision(probability_N, positive_N),
        "challenge_average_precision": metrics.challenge_average_precision(
            probability_N, positive_N
        ),
    }

"""Predictions of one task as arrays, so that a figure can be computed over any redraw of them.

Does: turn predictions into label, answer and probability arrays and compute each figure at given
positions.  Does not: resample (eval.intervals) or say what a figure means (eval.metrics).

An abstained answer counts as unusable here, like one that could not be parsed or that is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eval import intervals, metrics
from eval.predictions import Prediction, refuse_unlabelled
from mllm_affect.errors import UserError

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class AnswerArrays:
    """One task's predictions.

    label_N, answer_N: int64 places among `classes`; `len(classes)` is an unusable answer.
    probability_NA: float64, one column a class; a row of NaN where there is no usable answer or
    no probability.  positive: the place of the positive answer, or None.
    """

    task: str
    classes: tuple[str, ...]
    positive: int | None
    participants: tuple[str, ...]
    label_N: NDArray[np.int64]
    answer_N: NDArray[np.int64]
    probability_NA: NDArray[np.float64]

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> Self:
        """Gather the predictions of one task, in order.

        Raises UserError `no_predictions` (empty), `mixed_tasks` (several tasks or answer spaces) or
        `unlabelled_predictions`.
        """
        spaces = one_task(predictions)
        refuse_unlabelled(predictions, "nothing can be scored")
        task, classes, positive = spaces
        place = {name: index for index, name in enumerate(classes)}
        unusable = len(classes)
        return cls(
            task=task,
            classes=classes,
            positive=None if positive is None else place[positive],
            participants=tuple(item.participant for item in predictions),
            label_N=np.array([place[item.label or ""] for item in predictions], dtype=np.int64),
            answer_N=np.array(
                [
                    unusable if item.abstained else place.get(item.answer or "", unusable)
                    for item in predictions
                ],
                dtype=np.int64,
            ),
            probability_NA=np.array([_row(item) for item in predictions], dtype=np.float64),
        )

    @property
    def everything(self) -> Positions:
        """Every position once."""
        return np.arange(len(self.label_N), dtype=np.int64)

    def confusion(self, positions: Positions) -> metrics.Confusion:
        """Return the confusion table at some positions."""
        labels = len(self.classes)
        cell_N = self.label_N[positions] * (labels + 1) + self.answer_N[positions]
        counts = np.bincount(cell_N, minlength=labels * (labels + 1))
        return metrics.Confusion(self.classes, counts.reshape(labels, labels + 1))

    def redrawn_tables(self, seed: int, resamples: int) -> NDArray[np.float64]:
        """Return the confusion counts of every draw of participants: resample, label, answer."""
        labels = len(self.classes)
        shape = (labels, labels + 1)
        cell_NK = np.eye(shape[0] * shape[1])[self.label_N * shape[1] + self.answer_N]
        count_RK = intervals.resampled_sums(cell_NK, self.participants, seed, resamples)
        return count_RK.reshape(-1, *shape)

    def accuracy(self, positions: Positions) -> float:
        """Share of right answers."""
        return metrics.accuracy(self.confusion(positions))

    def macro_f1(self, positions: Positions) -> float:
        """Mean F1 over the classes."""
        return metrics.macro_f1(self.confusion(positions))

    def with_probabilities(self, positions: Positions) -> Positions:
        """Return the positions whose answer is usable and has probabilities."""
        known_N: NDArray[np.bool_] = ~np.isnan(self.probability_NA[positions, 0])
        return positions[known_N]

    def brier(self, positions: Positions) -> float:
        """Brier score where there are probabilities; NaN where there are none."""
        usable = self.with_probabilities(positions)
        if not usable.size:
            return float("nan")
        return metrics.brier_score(self.probability_NA[usable], self.label_N[usable])

    def calibration(self, positions: Positions) -> tuple[metrics.CalibrationBin, ...]:
        """Bins over the probability of the positive answer, else over that of the answer given."""
        usable = self.with_probabilities(positions)
        event_N = self.answer_N[usable] if self.positive is None else self.positive
        return metrics.calibration_bins(
            self.probability_NA[usable, event_N], self.label_N[usable] == event_N
        )

    def calibration_error(self, positions: Positions) -> float:
        """Expected calibration error; NaN where there are no probabilities."""
        bins = self.calibration(positions)
        return metrics.expected_calibration_error(bins) if bins else float("nan")

    def average_precision(self, positions: Positions) -> float:
        """The usual average precision; NaN without a positive answer or label."""
        if self.positive is None or not self._positive(positions).any():
            return float("nan")
        return metrics.average_precision(self.ranks(positions), self._positive(positions))

    def challenge_average_precision(self, positions: Positions) -> float:
        """The organisers' average precision; NaN without a positive answer or label."""
        if self.positive is None or not self._positive(positions).any():
            return float("nan")
        return metrics.challenge_average_precision(self.ranks(positions), self._positive(positions))

    def ranks(self, positions: Positions) -> NDArray[np.float64]:
        """Return the positive answer's probability; an unusable answer ranks as a sure wrong one.

        An answer without probabilities counts as certain of itself.
        """
        known_N = self.probability_NA[positions, self.positive]
        hard_N = np.where(
            self.answer_N[positions] == len(self.classes),
            ~self._positive(positions),
            self.answer_N[positions] == self.positive,
        ).astype(np.float64)
        return np.where(np.isnan(known_N), hard_N, known_N)

    def _positive(self, positions: Positions) -> NDArray[np.bool_]:
        return np.asarray(self.label_N[positions] == self.positive)


def one_task(predictions: Sequence[Prediction]) -> tuple[str, tuple[str, ...], str | None]:
    """Return the task that predictions are about, its answers and the positive one.

    Raises UserError `no_predictions` (empty) or `mixed_tasks` (several tasks or answer spaces).
    """
    if not predictions:
        raise UserError("no_predictions", "There are no predictions to measure.")
    spaces = {(item.task, item.classes, item.positive) for item in predictions}
    if len(spaces) > 1:
        names = ", ".join(sorted({item.task for item in predictions}))
        raise UserError("mixed_tasks", f"One summary covers one task; these rows mix {names}.")
    return next(iter(spaces))


def _row(item: Prediction) -> list[float]:
    if item.answer is None or item.abstained or not item.probabilities:
        return [float("nan")] * len(item.classes)
    return [item.probabilities.get(name, 0.0) for name in item.classes]

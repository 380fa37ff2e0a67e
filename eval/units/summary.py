"""What predictions of action units come to: scores, the baseline beside, what answers leaned on.

Does: decide by each row's own thresholds, measure, compare, write metrics.json.  Does not: draw.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.intervals import Interval
from eval.units.predictions import UnitPrediction, table
from eval.units.scores import UnitScores, gain, score_units
from mllm_affect.files import write_json

METRICS = "unit-metrics.json"
LEANING_ON = {"without_content": "content token", "without_instruction": "instruction token"}


@dataclass(frozen=True)
class Difference:
    """How much higher the checkpoint's mean binary F1 is than something else's."""

    gain: float
    interval: Interval


@dataclass(frozen=True)
class Leaning:
    """What the answers lose when a token is set to zero.

    `scores` without it, `drop` of mean binary F1, and `moved_A` how far each unit's probability
    moves in the mean over clips.
    """

    token: str
    scores: UnitScores
    drop: Difference
    moved_A: tuple[float, ...]


@dataclass(frozen=True)
class UnitSummary:
    """Everything measured; `flow` and `leanings` where the predictions hold them.

    `unusable`: how many videos could not be read and count as wrong.
    """

    scores: UnitScores
    folds: int
    unusable: int
    flow: UnitScores | None
    over_flow: Difference | None
    leanings: tuple[Leaning, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON knows them."""
        return asdict(self)


def summarise_units(rows: Sequence[UnitPrediction]) -> UnitSummary:
    """Measure pooled predictions; every row is decided by its own fold's thresholds."""
    units = rows[0].units
    labels_NA = table(rows, "labels").astype(np.int64)
    people = [row.participant for row in rows]
    probability_NA, threshold_NA = table(rows, "probabilities"), table(rows, "thresholds")
    found_NA = probability_NA >= threshold_NA

    def compared(other_NA: NDArray[np.bool_]) -> Difference:
        return Difference(*gain(labels_NA, found_NA, other_NA, people))

    flow, over_flow = None, None
    if all(row.flow for row in rows):
        flow_NA = table(rows, "flow") >= table(rows, "flow_thresholds")
        flow, over_flow = score_units(units, labels_NA, flow_NA, people), compared(flow_NA)
    leanings = []
    for name, token in LEANING_ON.items():
        if not all(getattr(row, name) for row in rows):
            continue
        without_NA = table(rows, name)
        moved_A = np.abs(without_NA - probability_NA).mean(0)
        decided_NA = without_NA >= threshold_NA
        scores = score_units(units, labels_NA, decided_NA, people)
        leanings.append(Leaning(token, scores, compared(decided_NA), tuple(map(float, moved_A))))
    return UnitSummary(
        scores=score_units(units, labels_NA, found_NA, people),
        folds=len({row.fold for row in rows}),
        unusable=sum(row.problem is not None for row in rows),
        flow=flow,
        over_flow=over_flow,
        leanings=tuple(leanings),
    )


def write_metrics(out: Path, summary: UnitSummary) -> Path:
    """Write the figures into the folder `out`; return the file's path."""
    path = out / METRICS
    write_json(path, summary.as_dict())
    return path

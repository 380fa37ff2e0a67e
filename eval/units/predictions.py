"""The file of action-unit predictions: one JSON line a video.

Does: describe, read and write rows.  Does not: run a model, choose thresholds or measure.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mllm_affect.errors import UserError
from mllm_affect.files import lines_of, write_jsonl

FILE_NAME = "unit-predictions.jsonl"


class UnitPrediction(BaseModel):
    """One video: probabilities, thresholds and labels by unit, all in the order of `units`.

    `labels` are 1, 0 or -1 for unknown.  `thresholds` were chosen on other people, of `fold`'s
    training side.  `without_content` and `without_instruction`: the probabilities with that token
    set to zero; `flow`: those of the flow baseline, with its own thresholds.  Empty: not measured.
    `problem`: why the video could not be read; all its probabilities are then those of the wrong
    answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: str
    participant: str
    split: str
    fold: str = ""
    units: tuple[int, ...]
    labels: tuple[int, ...]
    probabilities: tuple[float, ...]
    thresholds: tuple[float, ...]
    without_content: tuple[float, ...] = ()
    without_instruction: tuple[float, ...] = ()
    flow: tuple[float, ...] = ()
    flow_thresholds: tuple[float, ...] = ()
    problem: str | None = None

    @model_validator(mode="after")
    def _same_lengths(self) -> "UnitPrediction":
        lists = (self.labels, self.probabilities, self.thresholds)
        rest = (self.without_content, self.without_instruction, self.flow, self.flow_thresholds)
        count = len(self.units)
        if any(len(some) != count for some in lists) or any(len(s) not in (0, count) for s in rest):
            raise ValueError("every list must have one entry a unit")
        return self


def read_unit_predictions(paths: Sequence[Path]) -> list[UnitPrediction]:
    """Read files, of one fold each for instance, and pool their rows.

    Raises UserError `bad_predictions` for lines that cannot be used, files that know different
    units, and a video that comes twice: folds test everybody once.
    """
    rows: list[UnitPrediction] = []
    seen: set[str] = set()
    for path in paths:
        if not path.is_file():
            raise UserError("bad_predictions", f"There is no file {path}.")
        for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
            try:
                row = UnitPrediction.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                raise UserError(
                    "bad_predictions",
                    f"{path}, line {number}, is no action-unit prediction: {error}",
                ) from error
            if row.video in seen:
                raise UserError(
                    "bad_predictions",
                    f"{path}, line {number}: {row.video} was predicted before; give every video "
                    "in one fold's test alone.",
                )
            if rows and row.units != rows[0].units:
                raise UserError(
                    "bad_predictions",
                    f"{path}, line {number}, knows other action units than the first line; "
                    "evaluate checkpoints of the same units together.",
                )
            seen.add(row.video)
            rows.append(row)
    if not rows:
        raise UserError("bad_predictions", "The files hold no predictions.")
    return rows


def write_unit_predictions(out: Path, rows: Sequence[UnitPrediction]) -> Path:
    """Write the rows into the folder `out`, whole or not at all; return the file's path."""
    path = out / FILE_NAME
    write_jsonl(path, (row.model_dump(mode="json", exclude_defaults=True) for row in rows))
    return path


def table(rows: Sequence[UnitPrediction], name: str) -> NDArray[np.float64]:
    """Return one list of every row as an array (N, A), by its field's name."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)

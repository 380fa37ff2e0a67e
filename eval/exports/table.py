"""A tidy CSV table: one row a segment and task.

Does: flatten predictions.  Does not: summarise.  Videos without segments (they could not be asked
about) keep one row with empty times, so that none disappears.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.predictions import Prediction, SegmentPrediction
from mllm_affect.files import write_bytes
from mllm_affect.safe_text import csv_bytes

COLUMNS = (
    "video",
    "participant",
    "split",
    "task",
    "label",
    "video_answer",
    "segment",
    "start_s",
    "end_s",
    "segment_answer",
)


def table_rows(predictions: Sequence[Prediction]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the column names and the rows; `p_<answer>` columns hold segment probabilities."""
    answers = dict.fromkeys(name for item in predictions for name in item.classes)
    columns = [*COLUMNS, *(f"p_{name}" for name in answers)]
    rows = [
        _row(prediction, segment)
        for prediction in predictions
        for segment in prediction.segments or (None,)
    ]
    return columns, rows


def write_table(predictions: Sequence[Prediction], out: Path) -> int:
    """Write the table, whole or not at all; return its number of rows."""
    columns, rows = table_rows(predictions)
    write_bytes(out, csv_bytes(columns, rows))
    return len(rows)


def _row(prediction: Prediction, segment: SegmentPrediction | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "video": prediction.video,
        "participant": prediction.participant,
        "split": prediction.split,
        "task": prediction.task,
        "label": prediction.label or "",
        "video_answer": prediction.answer or "",
    }
    if segment is not None:
        row |= {
            "segment": segment.index,
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "segment_answer": segment.answer or "",
        }
        row |= {f"p_{name}": value for name, value in segment.probabilities.items()}
    return row

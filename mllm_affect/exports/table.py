"""A tidy table of an analysed video, one row a segment and task, as CSV or Parquet.

Does: flatten answers and what was observed, name units in columns.  Does not: summarise.

An answer without segments (no event was found) keeps one row with empty times.
`p_<answer>` columns hold probabilities; a column that a task or video has nothing for is empty.
Column names say their unit: `_s` seconds on the video's own timestamps, `_px` pixels of the video,
`_share` 0 to 1.  Measures of a face are means over the segment's frames that show it.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.exports.analysis import NOTICE, Analysis
from mllm_affect.files import write_bytes
from mllm_affect.media.observed import Observed
from mllm_affect.safe_text import csv_bytes, encodable, json_text
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer

FIXED = {
    "video": str,
    "source_sha256": str,
    "task": str,
    "question": str,
    "model": str,
    "prompt_hash": str,
    "calibration": str,
    "video_answer": str,
    "segment": int,
    "start_s": float,
    "end_s": float,
    "duration_s": float,
    "has_audio": bool,
    "answer": str,
    "logit": float,
    "brightness_share": float,
    "speech_share": float,
    "longest_pause_s": float,
    "face_share": float,
    "face_size_px": float,
    "face_left_share": float,
    "face_top_share": float,
    "face_width_share": float,
    "face_height_share": float,
    "face_score": float,
}
"""Columns that every table has, with the type of their values; probabilities follow."""

Row = dict[str, Any]


def table_rows(*analyses: Analysis) -> tuple[dict[str, type], list[Row]]:
    """Return the columns with their types, and the rows by task and time; None where unknown."""
    told = [(answer, analysis) for analysis in analyses for answer in analysis.answers]
    names = dict.fromkeys(
        name for answer, _ in told for part in answer.segments for name in part.probabilities
    )
    columns = {**FIXED, **{f"p_{name}": float for name in names}}
    empty = dict.fromkeys(columns)
    return columns, [{**empty, **row} for pair in told for row in _rows_of(*pair)]


def as_csv(*analyses: Analysis) -> bytes:
    """Return the table as CSV for spreadsheets and programs alike; see `safe_text.csv_bytes`."""
    columns, rows = table_rows(*analyses)
    return csv_bytes(list(columns), rows)


def as_parquet(*analyses: Analysis) -> bytes:
    """Return the table as Parquet, typed, with what it depends on in the schema's metadata.

    Raises UserError `package_missing` where pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            "package_missing", "Parquet needs pyarrow; install mllm-affect[tables], or take CSV."
        ) from error
    arrow_of = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    arrow_of[bool] = pyarrow.bool_()
    columns, rows = table_rows(*analyses)
    provenance = [one for analysis in analyses for one in _provenance(analysis)]
    schema = pyarrow.schema(
        [(encodable(name), arrow_of[kind]) for name, kind in columns.items()],
        metadata={"notice": NOTICE, "answers": json_text(provenance)},
    )
    written = io.BytesIO()
    typed = pyarrow.Table.from_pylist([_encodable(row) for row in rows], schema=schema)
    parquet.write_table(typed, written)
    return written.getvalue()


CORPUS_FORMATS = {".parquet": as_parquet, ".csv": as_csv}
"""How a table about many videos can be written, by the ending of its name."""


def write_tables(analyses: Sequence[Analysis], path: Path) -> None:
    """Write one table about many videos, whole or not at all; see CORPUS_FORMATS."""
    write_bytes(path, CORPUS_FORMATS[path.suffix](*analyses))


def _encodable(row: Row) -> Row:
    return {
        encodable(name): encodable(value) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _rows_of(told: VideoAnswer, analysis: Analysis) -> Iterator[Row]:
    seen = {(one.start_s, one.end_s): _observed(one) for one in analysis.observed}
    row: Row = {
        "video": analysis.video,
        "source_sha256": told.source_sha256,
        "task": told.task,
        "question": told.question,
        "model": told.model,
        "prompt_hash": told.prompt_hash,
        "calibration": told.calibration,
        "video_answer": told.answer,
    }
    if not told.segments:
        yield row
    for part in told.segments:
        yield row | _segment(part) | seen.get((part.start_s, part.end_s), {})


def _segment(part: SegmentAnswer) -> Row:
    return {
        "segment": part.index,
        "start_s": part.start_s,
        "end_s": part.end_s,
        "duration_s": part.duration_s,
        "has_audio": part.has_audio,
        "answer": part.answer,
        "logit": part.logit,
        "brightness_share": part.quality.brightness if part.quality else None,
        **{f"p_{name}": value for name, value in part.probabilities.items()},
    }


def _observed(seen: Observed) -> Row:
    heard = {"speech_share": seen.speech_share, "longest_pause_s": seen.longest_pause_s}
    return {"face_share": seen.face_share, **(heard if seen.heard else {}), **_face(seen)}


def _face(seen: Observed) -> Row:
    if not seen.faces:
        return {}
    count = len(seen.faces)
    return {
        "face_size_px": seen.face_size_px,
        "face_left_share": sum(face.left for face in seen.faces) / count,
        "face_top_share": sum(face.top for face in seen.faces) / count,
        "face_width_share": sum(face.width for face in seen.faces) / count,
        "face_height_share": sum(face.height for face in seen.faces) / count,
        "face_score": sum(face.score for face in seen.faces) / count,
    }


def _provenance(analysis: Analysis) -> list[dict[str, Any]]:
    """Return each answer without its segments: everything that the rows depend on."""
    return [told.model_dump(mode="json", exclude={"segments"}) for told in analysis.answers]

"""CSV and Parquet, read back with pandas and pyarrow."""

import io
import json

import pandas
import pytest
from made_answers import AWKWARD, BORDERS, analysis, spoken
from pandas.api import types
from pyarrow import parquet

from mllm_affect.exports.analysis import NOTICE, Analysis
from mllm_affect.exports.table import as_csv, as_parquet


def csv_of(exported: Analysis) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(as_csv(exported)))


def parquet_of(exported: Analysis) -> pandas.DataFrame:
    return pandas.read_parquet(io.BytesIO(as_parquet(exported)))


@pytest.mark.parametrize("read", [csv_of, parquet_of])
def test_one_row_a_segment_and_task(read: object) -> None:
    table: pandas.DataFrame = read(analysis())  # type: ignore[operator]
    assert list(table.task) == ["ah"] * 3 + ["question-1"] * 3
    assert list(zip(table.start_s, table.end_s, strict=True)) == [*BORDERS, *BORDERS]
    assert list(table.answer) == ["yes", "yes", "no", *[AWKWARD] * 3]
    assert list(table.p_yes[:3]) == [0.9, 0.7, 0.2]
    assert table.p_yes[3:].isna().all()
    assert list(table.face_share.isna()) == [False, False, True] * 2
    assert list(table.has_audio) == [True] * 3 + [False] * 3
    assert set(table.video) == {"my interview & more.mp4"}


def test_both_tables_say_the_same() -> None:
    from_csv, from_parquet = csv_of(analysis()), parquet_of(analysis())
    assert list(from_csv.columns) == list(from_parquet.columns)
    assert set(from_csv.question[3:]) == {"'=1"}, "harmless in a spreadsheet"
    assert set(from_parquet.question[3:]) == {"=1"}
    for name in from_csv.columns.drop("question"):
        same = from_csv[name].eq(from_parquet[name]) | (
            from_csv[name].isna() & from_parquet[name].isna()
        )
        assert same.all(), name


def test_measures_of_a_face_are_means_over_its_places() -> None:
    row = csv_of(analysis()).iloc[0]
    assert row.face_left_share == pytest.approx(0.3)
    assert row.face_top_share == pytest.approx(0.2)
    assert row.face_score == pytest.approx(0.7)
    assert (row.face_size_px, row.speech_share, row.longest_pause_s) == (41.0, 0.75, 0.5)


def test_parquet_types_hold_even_for_columns_without_values() -> None:
    schema = parquet.read_schema(io.BytesIO(as_parquet(Analysis("v", (spoken(),)))))
    table = schema.empty_table().to_pandas()
    for name in ("start_s", "face_size_px", "speech_share"):
        assert types.is_float_dtype(table[name]), name
    assert types.is_integer_dtype(table.segment)
    assert types.is_bool_dtype(table.has_audio)


def test_parquet_tells_what_the_rows_depend_on() -> None:
    metadata = parquet.read_schema(io.BytesIO(as_parquet(analysis()))).metadata
    answers = json.loads(metadata[b"answers"])
    assert metadata[b"notice"].decode() == NOTICE
    assert [answer["task"] for answer in answers] == ["ah", "question-1"]
    assert answers[0]["sampling"] == analysis().answers[0].as_dict()["sampling"]
    assert "segments" not in answers[0]

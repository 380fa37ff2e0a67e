"""Every format in which an analysed video can be had.

Does: name them, choose one by a file's suffix, write it.  Does not: know how each is made.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from mllm_affect.errors import UserError
from mllm_affect.exports.analysis import Analysis
from mllm_affect.exports.captions import as_webvtt
from mllm_affect.exports.elan import as_eaf
from mllm_affect.exports.json_file import as_json
from mllm_affect.exports.table import as_csv, as_parquet
from mllm_affect.files import write_bytes


class Format(StrEnum):
    """A format, named by the suffix of its files."""

    json = "json"
    csv = "csv"
    parquet = "parquet"
    vtt = "vtt"
    eaf = "eaf"


MEDIA_TYPES = {
    Format.json: "application/json",
    Format.csv: "text/csv; charset=utf-8",
    Format.parquet: "application/vnd.apache.parquet",
    Format.vtt: "text/vtt; charset=utf-8",
    Format.eaf: "application/xml",
}

WRITERS: dict[Format, Callable[[Analysis], bytes]] = {
    Format.json: as_json,
    Format.csv: as_csv,
    Format.parquet: as_parquet,
    Format.vtt: as_webvtt,
    Format.eaf: as_eaf,
}


def exported(analysis: Analysis, form: Format) -> bytes:
    """Return the file's content.  Raises UserError `package_missing` for want of pyarrow."""
    return WRITERS[form](analysis)


def format_of(path: Path) -> Format:
    """Return the format that a file's suffix names.  Raises UserError `unknown_format`."""
    try:
        return Format(path.suffix.lower().removeprefix("."))
    except ValueError as error:
        known = ", ".join(f".{form}" for form in Format)
        raise UserError(
            "unknown_format", f"{path} names no format; end the file's name in one of {known}."
        ) from error


def write_export(analysis: Analysis, path: Path) -> None:
    """Write the format that the suffix names, whole or not at all; errors as `exported`."""
    write_bytes(path, exported(analysis, format_of(path)))

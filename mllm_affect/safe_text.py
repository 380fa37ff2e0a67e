"""Text for files that cannot hold every character, or that act on some.

Does: make text that UTF-8, XML and pictures can hold, JSON text that is always UTF-8, and CSV that
spreadsheet programs open as it is meant.  Does not: write files, or escape for HTML and WebVTT (see
exports.captions and the templates of reports).

A Python string may hold lone surrogates (from file names that are no UTF-8, or from JSON such as
"\\ud83d"); no encoder takes them.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_UTF8 = re.compile("[\ud800-\udfff]")
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write: control characters, U+FFFE, U+FFFF, surrogates."""

REPLACEMENT = "\ufffd"

LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\u0085\u2028\u2029"}
"""Characters that Python and others take for the end of a line, with their escapes in JSON."""

BOM = "\ufeff"
"""By it Excel recognises UTF-8; without it, letters beyond ASCII are misread."""

FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet program computes instead of showing it."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def encodable(text: str) -> str:
    """Return the text with each lone surrogate as U+FFFD, so that UTF-8 can hold it."""
    return NOT_UTF8.sub(REPLACEMENT, text)


def xml_text(text: str) -> str:
    """Return the text without characters that XML 1.0 has no way to write."""
    return NOT_XML.sub("", text)


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON that UTF-8 can hold; without `indent` on one line, whoever splits lines.

    Letters beyond ASCII are themselves; lone surrogates and unusual line ends are escaped.  Reading
    it gives the same value.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False).translate(LINE_ENDS)
    # Where it stands in a JSON string, Python's own escape of a surrogate is JSON's.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def harmless_cell(value: Any) -> Any:
    """Return a cell's value; text that a spreadsheet would compute gets an apostrophe in front.

    Numbers stay as they are, and so does text that is a plain number: -1.5 computes nothing.
    """
    if not isinstance(value, str) or not FORMULA.match(value) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def csv_bytes(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, bom: bool = True
) -> bytes:
    """Return a table as CSV: RFC 4180, UTF-8 with a byte order mark, lines ended by a line feed.

    Every row maps columns to values; one that is missing or None is an empty cell.  Raises
    ValueError for a row with another column.
    """
    lines = [_line(columns)]
    for row in rows:
        strange = row.keys() - set(columns)
        if strange:
            raise ValueError(f"a row has columns that the table lacks: {sorted(strange)}")
        lines.append(_line([row.get(name, "") for name in columns]))
    return ((BOM if bom else "") + "".join(lines)).encode("utf-8")


def _line(values: Iterable[Any]) -> str:
    # The writer quotes only the characters of its own line end: "\r\n" has both quoted.
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> Any:
    return harmless_cell(encodable(value) if isinstance(value, str) else value)

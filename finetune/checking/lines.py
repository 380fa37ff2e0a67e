"""From the bytes of a rows file to JSON objects, line by line.

Does: find what is no UTF-8, no JSON, no object, or names a key twice, without giving up on the
lines behind it.  Does not: know what a row holds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """One line that is not blank: its number from 1, and its object or what is wrong with it."""

    number: int
    row: dict[str, Any] | None = None
    code: str = ""
    sentence: str = ""


class _RepeatedKeyError(ValueError):
    pass


def read_lines(path: Path) -> Iterator[Line]:
    """Yield every line that is not blank."""
    for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        if raw.strip():
            yield _line(number, raw)


def _line(number: int, raw: bytes) -> Line:
    if raw.startswith(BYTE_ORDER_MARK):
        return Line(number, None, "byte_order_mark", "It begins with a byte order mark.")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        return Line(number, None, "not_utf8", f"Byte {error.start + 1} is not UTF-8.")
    except _RepeatedKeyError as error:
        return Line(number, None, "repeated_key", f"The key {error} stands in it twice.")
    except (ValueError, RecursionError) as error:
        return Line(number, None, "not_json", f"It is not JSON: {error}.")
    if not isinstance(value, dict):
        return Line(number, None, "not_an_object", "A row is a JSON object.")
    return Line(number, value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(repr(key))
        found[key] = value
    return found

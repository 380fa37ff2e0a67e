"""JSON lines whose bytes are kept: only the value of one key is ever replaced.

Does: split a file into lines with their own endings, parse each object, find where a key's value
stands, put another value there.  Does not: know what the objects mean.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError

_DECODER = JSONDecoder()
_SPACE = " \t\r"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Line:
    """One object with the very text it was read from.

    `spans` holds, by key, where the value begins and ends in `text`.  `text` has no line ending;
    `ending` is `\\n` or, for a last line without one, empty.
    """

    number: int
    text: str
    ending: str
    values: dict[str, Any]
    spans: dict[str, tuple[int, int]]

    def replaced(self, key: str, value: Any) -> str:
        """Return the line, its ending included, with another value under `key`.

        A key that is absent is put last, spaced as the object is.
        """
        written = json.dumps(value, ensure_ascii=self.text.isascii())
        if key in self.spans:
            start, end = self.spans[key]
            return self.text[:start] + written + self.text[end:] + self.ending
        end = self.text.rindex("}")
        body = self.text[:end].rstrip(_SPACE)
        comma = "" if not self.values else (", " if ", " in self._between_values() else ",")
        colon = ": " if '": ' in self.text or not self.values else ":"
        added = f"{comma}{json.dumps(key)}{colon}{written}"
        return body + added + self.text[len(body) :] + self.ending

    def _between_values(self) -> str:
        ends = sorted(self.spans.values())
        return "".join(self.text[before[1] : after[0]] for before, after in pairwise(ends))


def read_lines(path: Path, code: str) -> list[Line]:
    """Read a file of one JSON object a line; blank lines are kept with the line before them.

    Raises UserError `code` when the file is missing, not UTF-8, or a line is no object or names a
    key twice.
    """
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(code, f"No file at {path}; check the path.") from error
    except OSError as error:
        raise UserError(code, f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(code, f"{path} is not UTF-8 text.") from error
    lines: list[Line] = []
    kept_before = ""
    parts = content.split("\n")
    for number, whole in enumerate(parts, start=1):
        ending = "\n" if number < len(parts) else ""
        if not whole.strip(_SPACE + _BYTE_ORDER_MARK):
            blank = whole + ending
            if lines:
                last = lines[-1]
                lines[-1] = Line(
                    last.number, last.text, last.ending + blank, last.values, last.spans
                )
            else:
                kept_before += blank
            continue
        lines.append(_parse(number, kept_before + whole, ending, f"{path}, line {number}", code))
        kept_before = ""
    return lines


def _parse(number: int, text: str, ending: str, where: str, code: str) -> Line:
    try:
        values, spans = _scan(text)
    except (JSONDecodeError, RecursionError) as error:
        raise UserError(code, f"{where} is not one JSON object: {error}.") from error
    except KeyError as error:
        raise UserError(code, f"{where} names the key {error} twice.") from error
    return Line(number, text, ending, values, spans)


def _scan(text: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """Parse an object and note where each value stands.  Raises JSONDecodeError or KeyError."""
    values: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    at = _expect(text, _skip(text, 0, _SPACE + _BYTE_ORDER_MARK + "\n"), "{")
    at = _skip(text, at)
    if text[at : at + 1] == "}":
        _expect_end(text, at + 1)
        return values, spans
    while True:
        key, at = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(key, str):
            raise JSONDecodeError("a key must be a text", text, at)
        if key in values:
            raise KeyError(key)
        start = _skip(text, _expect(text, _skip(text, at), ":"))
        values[key], at = _DECODER.raw_decode(text, start)
        spans[key] = (start, at)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            _expect_end(text, at + 1)
            return values, spans
        at = _expect(text, at, ",")


def _skip(text: str, at: int, characters: str = _SPACE) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise JSONDecodeError(f"expected {character!r}", text, at)
    return at + 1


def _expect_end(text: str, at: int) -> None:
    rest = _skip(text, at)
    if rest != len(text):
        raise JSONDecodeError("something follows the object", text, rest)

"""Reading a large YAML mapping entry by entry, with plain values and nothing else.

Does: build strings, numbers, lists and mappings straight from parser events, so that memory holds
one entry at a time; read `!!python/tuple` as a tuple.  Does not: construct anything else: there is
no constructor to call, and any other tag is refused.

Keys of mappings stay the text they are written as (a participant `0123` is no number).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from mllm_affect.errors import UserError

TUPLE = "tag:yaml.org,2002:python/tuple"
TEXT = "tag:yaml.org,2002:str"
_PLAIN = "tag:yaml.org,2002:"
_SEQUENCES = (None, "!", _PLAIN + "seq")
_MAPPINGS = (None, "!", _PLAIN + "map")
_NUMBERS = (_PLAIN + "int", _PLAIN + "float", _PLAIN + "bool", _PLAIN + "null")
DEEPEST = 32


def entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield key and value of every entry of a file's one mapping, in order, repeated keys too.

    Raises UserError `unsafe_yaml` (a tag that stands for anything but plain values) and `bad_yaml`.
    """
    with path.open("rb") as stream:
        try:
            yield from _Builder(stream, path).entries()
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise UserError("bad_yaml", f"{path} is not readable YAML: {reason}.") from error


def mapping(path: Path) -> dict[str, Any]:
    """Return the whole mapping of a small file; the last of repeated keys counts.

    Raises UserError as `entries` does.
    """
    return dict(entries(path))


class _Builder:
    """Turns the events of one stream into plain values."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._loader = yaml.CSafeLoader(stream)
        self._next = self._loader.get_event
        self._resolve: Any = self._loader.resolve
        self._path = path
        self._anchors: dict[str, Any] = {}
        self._known: dict[str, Any] = {}

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Yield the entries of the top mapping."""
        event = self._next()
        while isinstance(event, StreamStartEvent | DocumentStartEvent):
            event = self._next()
        if isinstance(event, StreamEndEvent):
            return
        if not isinstance(event, MappingStartEvent):
            raise UserError("bad_yaml", f"{self._path} must be one mapping at its top.")
        self._check(event.tag, _MAPPINGS, event)
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            yield key, self._value(self._next(), 1)

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            value = self._scalar(event)
        elif kind is SequenceStartEvent:
            value = self._sequence(event, depth)
        elif kind is MappingStartEvent:
            value = self._mapping(event, depth)
        else:
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _sequence(self, event: Any, depth: int) -> Any:
        self._go_deeper(depth, event)
        if event.tag != TUPLE:
            self._check(event.tag, _SEQUENCES, event)
        items = []
        get, value = self._next, self._value
        while type(inner := get()) is not SequenceEndEvent:
            items.append(value(inner, depth + 1))
        return tuple(items) if event.tag == TUPLE else items

    def _mapping(self, event: Any, depth: int) -> dict[str, Any]:
        self._go_deeper(depth, event)
        self._check(event.tag, _MAPPINGS, event)
        made = {}
        while type(inner := self._next()) is not MappingEndEvent:
            key = self._key(inner)
            made[key] = self._value(self._next(), depth + 1)
        return made

    def _key(self, event: Any) -> str:
        if type(event) is AliasEvent:
            return str(self._alias(event))
        if type(event) is not ScalarEvent:
            raise UserError("bad_yaml", f"{self._place(event)}: a key must be a plain word.")
        self._check(event.tag, (None, "!", TEXT, *_NUMBERS), event)
        if event.anchor is not None:
            self._anchors[event.anchor] = event.value
        return str(event.value)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag = event.tag
        if tag in (None, "!"):
            if not event.implicit[0]:
                return text
            if text in self._known:
                return self._known[text]
            tag = self._resolve(yaml.ScalarNode, text, (True, False))
            if tag not in _NUMBERS:
                # Dates too: nothing of ours wants them, and their text can be compared.
                return text
        self._check(tag, (TEXT, *_NUMBERS), event)
        if tag == TEXT:
            return text
        value = self._number(text, tag, event)
        if len(text) < 8:
            self._known[text] = value
        return value

    def _number(self, text: str, tag: str, event: Any) -> Any:
        node = yaml.ScalarNode(tag, text)
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:
            raise UserError("bad_yaml", f"{self._place(event)}: {text!r} is no number.") from error

    def _alias(self, event: Any) -> Any:
        if type(event) is not AliasEvent or event.anchor not in self._anchors:
            raise UserError("bad_yaml", f"{self._place(event)}: a value is missing here.")
        return self._anchors[event.anchor]

    def _check(self, tag: str | None, allowed: tuple[str | None, ...], event: Any) -> None:
        if tag not in allowed:
            raise UserError(
                "unsafe_yaml",
                f"{self._place(event)} carries the tag {tag!r}; only plain values and "
                "!!python/tuple are read, and nothing of it was run.",
            )

    def _go_deeper(self, depth: int, event: Any) -> None:
        if depth > DEEPEST:
            raise UserError("bad_yaml", f"{self._place(event)} is nested too deeply.")

    def _place(self, event: Any) -> str:
        return f"{self._path}, line {event.start_mark.line + 1}"

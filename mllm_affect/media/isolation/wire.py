"""Values between the process that decodes and the one that asked.

Does: turn frozen dataclasses with arrays into JSON and raw bytes, and back, believing nothing.
Does not: start processes or read files.  Never pickle: what comes back was made near a stranger's
file.

A message is MAGIC, the header's length (4 bytes, little endian), the header (JSON: kind, value,
arrays), then the bytes of the arrays, one after the other.  In the value an array is its number and
a dataclass names its class; a receiver rebuilds only what the type hints of the class it expects
allow: the hint gives an array's dtype, the letters at the end of the field's name its number of
dimensions (frames_THWC has four, boxes_N4 two, of which the second is 4).
"""

import json
import math
import re
import struct
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.parts import AnyPart, Parts
from mllm_affect.media.types import Clip, Sampling

MAGIC = b"MA1\n"
LENGTH = struct.Struct("<I")
MAX_HEADER_BYTES = 4 << 20
MAX_ARRAYS = 256
MAX_TEXT = 2_000
DTYPES = frozenset({"uint8", "int16", "int32", "int64", "float32", "float64", "bool"})
SHAPED = re.compile(r"_([A-Z0-9]+)$")
OURS = "mllm_affect.media."


class WireError(Exception):
    """The other side sent what it should not."""


@dataclass(frozen=True)
class Message:
    """What came: `value` is JSON in which numbers stand for `arrays`."""

    kind: str
    value: Any
    arrays: Sequence[NDArray[Any]]


def encode(kind: str, value: Any) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a message, to be written one after the other."""
    arrays: list[NDArray[Any]] = []
    plain = _plain(value, arrays)
    shapes = [{"dtype": array.dtype.name, "shape": list(array.shape)} for array in arrays]
    header = json.dumps({"kind": kind, "value": plain, "arrays": shapes}, allow_nan=False).encode()
    yield MAGIC + LENGTH.pack(len(header)) + header
    for array in arrays:
        if array.size:
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def plain(value: Any) -> Any:
    """Return settings as the JSON that `rebuild` takes; no arrays."""
    arrays: list[NDArray[Any]] = []
    found = _plain(value, arrays)
    if arrays:
        raise TypeError("Settings hold no arrays.")
    return found


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(item, arrays) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        inside = {item.name: _plain(getattr(value, item.name), arrays) for item in fields(value)}
        return {"class": f"{type(value).__module__}:{type(value).__qualname__}", "fields": inside}
    raise TypeError(f"{type(value).__name__} does not travel between processes.")


def receive(read_into: Callable[[memoryview], None], max_bytes: int) -> Message:
    """Read one message; `read_into` fills a buffer or raises.

    Raises WireError for anything that is not a message of at most `max_bytes`.
    """
    begin = bytearray(len(MAGIC) + LENGTH.size)
    read_into(memoryview(begin))
    (length,) = LENGTH.unpack_from(begin, len(MAGIC))
    if not begin.startswith(MAGIC) or length > min(MAX_HEADER_BYTES, max_bytes):
        raise WireError("not a message")
    text = bytearray(length)
    read_into(memoryview(text))
    try:
        header = json.loads(text, parse_constant=_no_constant)
        kind, value, shapes = header["kind"], header["value"], header["arrays"]
        if len(header) != 3 or not isinstance(kind, str) or len(shapes) > MAX_ARRAYS:
            raise WireError("not a message")
        layouts = [_layout(shape) for shape in shapes]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError("not a message") from error
    if sum(size for _, _, size in layouts) > max_bytes:
        raise WireError("too large a message")
    arrays = []
    for dtype, shape, size in layouts:
        array = np.empty(shape, dtype=dtype)
        if size:
            read_into(array.reshape(-1).view(np.uint8).data)
        arrays.append(array)
    return Message(kind, value, arrays)


def _layout(stated: Any) -> tuple[str, tuple[int, ...], int]:
    dtype, shape = stated["dtype"], stated["shape"]
    if dtype not in DTYPES or not isinstance(shape, list) or len(shape) > 8 or len(stated) != 2:
        raise WireError("not an array")
    if not all(type(side) is int and 0 <= side < 1 << 31 for side in shape):
        raise WireError("not an array")
    return dtype, tuple(shape), math.prod(shape) * np.dtype(dtype).itemsize


def _no_constant(name: str) -> float:
    raise WireError(f"{name} is not a number")


def rebuild(value: Any, hint: Any, arrays: Sequence[NDArray[Any]], name: str = "") -> Any:
    """Return the value that a type hint describes; `name` is the field's.

    Raises WireError for anything else.  Where the hint is Any, a dataclass of the media room that
    this process has loaded already, an array, or plain JSON.
    """
    if hint is Any:
        return _guessed(value, arrays)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _of_either(value, arguments, arrays, name)
    if hint is None or hint is type(None):
        _hold(value is None, "nothing")
        return None
    if hint in (bool, int, str):
        _hold(type(value) is hint, hint.__name__)
        _hold(hint is not str or len(value) <= MAX_TEXT, "a short text")
        return value
    if origin is typing.Literal:
        _hold(type(value) is str and value in arguments, "one of a few words")
        return value
    if hint is float:
        _hold(type(value) in (int, float) and abs(value) <= sys.float_info.max, "a number")
        return float(value)
    if hint is Path:
        _hold(type(value) is str and len(value) <= MAX_TEXT, "a path")
        return Path(value)
    if origin is np.ndarray:
        return _array(value, np.dtype(get_args(arguments[1])[0]), arrays, name)
    if origin is tuple:
        _hold(type(value) is list, "a list")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(rebuild(item, arguments[0], arrays, name) for item in value)
        _hold(len(value) == len(arguments), "a list of this length")
        return tuple(
            rebuild(item, of, arrays, name) for item, of in zip(value, arguments, strict=True)
        )
    if is_dataclass(hint) and isinstance(hint, type):
        return _object(value, hint, arrays)
    raise WireError(f"{hint} does not travel between processes")


def _hold(condition: bool, expected: str) -> None:
    if not condition:
        raise WireError(f"expected {expected}")


def _of_either(value: Any, hints: Sequence[Any], arrays: Sequence[NDArray[Any]], name: str) -> Any:
    for hint in hints:
        try:
            return rebuild(value, hint, arrays, name)
        except WireError:
            continue
    raise WireError("expected another kind of value")


def _array(
    value: Any, dtype: "np.dtype[Any] | None", arrays: Sequence[NDArray[Any]], name: str
) -> NDArray[Any]:
    _hold(type(value) is dict and list(value) == ["array"], "an array")
    place = value["array"]
    _hold(type(place) is int and 0 <= place < len(arrays), "an array that was sent")
    array: NDArray[Any] = arrays[place]
    _hold(dtype is None or array.dtype == dtype, f"an array of {dtype}")
    shaped = SHAPED.search(name)
    if shaped:
        _hold(array.ndim == len(shaped[1]), f"an array of {len(shaped[1])} dimensions")
        for letter, side in zip(shaped[1], array.shape, strict=True):
            _hold(not letter.isdigit() or side == int(letter), f"a side of {letter}")
    return array


def _object(value: Any, kind: type, arrays: Sequence[NDArray[Any]]) -> Any:
    _hold(type(value) is dict and set(value) == {"class", "fields"}, "an object")
    _hold(value["class"] == f"{kind.__module__}:{kind.__qualname__}", kind.__name__)
    inside, hints = value["fields"], _hints(kind)
    _hold(type(inside) is dict and set(inside) == set(hints), f"the fields of {kind.__name__}")
    return kind(**{name: rebuild(inside[name], hints[name], arrays, name) for name in hints})


@cache
def _hints(kind: type) -> dict[str, Any]:
    stated = typing.get_type_hints(kind)
    return {item.name: stated[item.name] for item in fields(kind)}


def clip_fields() -> tuple[str, ...]:
    """Return which fields of a Clip are sent as they are: all that the receiver cannot know."""
    return tuple(item.name for item in fields(Clip) if item.name not in ("sampling", "parts"))


def rebuild_clip(
    values: Any, sampling: Sampling, parts: Sequence[AnyPart], arrays: Sequence[NDArray[Any]]
) -> Clip:
    """Return the clip whose fields, in order, and parts were sent.  Raises WireError."""
    names, hints = clip_fields(), _hints(Clip)
    _hold(type(values) is list and len(values) == len(names) + 1, "a clip")
    *own, made = values
    _hold(type(made) is list and len(made) == len(parts), "as many parts as asked for")
    return Clip(
        **{
            name: rebuild(value, hints[name], arrays, name)
            for name, value in zip(names, own, strict=True)
        },
        sampling=sampling,
        parts=Parts(dict(zip(parts, (_guessed(value, arrays) for value in made), strict=True))),
    )


def _guessed(value: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return tuple(_guessed(item, arrays) for item in value)
    _hold(type(value) is dict, "a value")
    if "array" in value:
        return _array(value, None, arrays, "")
    named = value.get("class")
    _hold(type(named) is str and named.startswith(OURS), "a class of ours")
    module, _, name = named.partition(":")
    kind = getattr(sys.modules.get(module), name, None)
    if not isinstance(kind, type) or not is_dataclass(kind) or kind.__module__ != module:
        raise WireError("expected a class of ours")
    return _object(value, kind, arrays)

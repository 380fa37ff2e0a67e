"""The throw-away process that decodes one file; started by decoding_process, never imported by it.

Does: confine itself, then answer requests about the descriptor it was given, until its standard
input ends.  Does not: open anything, or decide what a refusal says.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no threads of numpy's: confining is for one thread


from mllm_affect.errors import UserError
from mllm_affect.media import reader, segment
from mllm_affect.media.cutting import frame_times
from mllm_affect.media.isolation import wire
from mllm_affect.media.isolation.sandbox import confine
from mllm_affect.media.limits import ChildLimits, Limits
from mllm_affect.media.packet_survey import surveyed
from mllm_affect.media.probe import examine
from mllm_affect.media.types import Clip, Sampling, Segment, Source

for name in ("av.subtitles.stream", "av.subtitles.codeccontext"):
    import_module(name)  # PyAV does so when it meets a file; then none can be opened any more

ANSWERS = 1
"""The descriptor of the pipe to the parent: standard output."""


def main() -> None:
    """Answer one JSON request a line; the first says within which limits and about which parts."""
    begin = json.loads(sys.stdin.readline())
    os.environ.clear()
    parts = [_trusted(part) for part in begin["parts"]]
    for part in (*parts, *map(_trusted, begin["prepared"])):
        prepare = getattr(part, "prepare", None)
        if prepare is not None:
            prepare()
    file = _File(Path(f"/dev/fd/{begin['descriptor']}"), Limits(**begin["limits"]), parts)
    _send("sandbox_layers", confine(ChildLimits(**begin["child_limits"])))
    for line in sys.stdin:
        _answer(json.loads(line), file)


@dataclass(frozen=True)
class _File:
    path: Path
    limits: Limits
    parts: list[Any]


def _answer(request: dict[str, Any], file: _File) -> None:
    """Send every value of the answer, then the end or what went wrong."""
    try:
        for value in _values(request, file):
            _send("value", value)
        _send("end", None)
    except UserError as error:
        _send("refused", [error.code, sorted(getattr(error, "facts", {}).items())])
    except MemoryError:
        _send("no_memory", None)
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception as error:  # whatever a decoder made of it: the parent has a sentence for it
        _send("failed", type(error).__name__)


def _values(request: dict[str, Any], file: _File) -> Iterator[Any]:
    call, parts = request["call"], file.parts
    if call == "probe":
        yield examine(file.path, file.limits)
        return
    source: Source = replace(_trusted(request["source"]), path=file.path)
    if call == "frame_times":
        yield frame_times(source)
    elif call == "moves":
        yield surveyed(source).moves
    elif call == "segment":
        yield segment.segment(source, request["max_seconds"])
    else:
        sampling: Sampling = _trusted(request["sampling"])
        if call == "read_video":
            clips = reader.read_video(source, sampling, request["max_seconds"], parts)
        else:
            segments: list[Segment] = [_trusted(item) for item in request["segments"]]
            clips = reader.read_clips(source, segments, sampling, parts)
        for clip in clips:
            yield _travelling(clip, parts)


def _travelling(clip: Clip, parts: list[Any]) -> list[Any]:
    """Return what is sent of a clip: its own fields in order, and its parts in the order asked."""
    return [
        *(getattr(clip, name) for name in wire.clip_fields()),
        [clip.parts[part] for part in parts],
    ]


def _trusted(stated: dict[str, Any]) -> Any:
    """Rebuild a dataclass that the parent names."""
    module, _, name = stated["class"].partition(":")
    return wire.rebuild(stated, getattr(import_module(module), name), ())


def _send(kind: str, value: Any) -> None:
    for piece in wire.encode(kind, value):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(ANSWERS, rest) :]


if __name__ == "__main__":
    main()

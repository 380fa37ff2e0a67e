"""Reading a transcript from a file: plain text, WebVTT, SubRip, or chunks as JSON or YAML.

Does: decode, recognise the kind by the file's name, parse, hand over to the timeline.
Does not: read cues (subtitle_cues) or repair times (transcript), guess at encodings other than
UTF-8, or build objects.

WebVTT: W3C WebVTT, the cue part (notes, styles and regions are passed over, tags removed).
Chunks: `{"chunks": [{"text": …, "timestamp": [a, b]}]}` as transformers' Whisper pipeline gives, or
`{"segments": [{"text": …, "start": a, "end": b}]}` as openai-whisper does, or such a list alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mllm_affect.errors import UserError
from mllm_affect.media.speech.subtitle_cues import read_cues
from mllm_affect.media.speech.transcript import (
    RawChunk,
    Repairs,
    Transcript,
    one_timeline,
    subtitles,
)

MAX_BYTES = 8 << 20
"""A larger file is refused; four hours of speech are a quarter of a megabyte."""
MAX_CHUNKS = 100_000
MAX_DEPTH = 20
"""Deepest nesting of JSON or YAML."""


def read_transcript(path: Path, duration_s: float | None = None) -> Transcript:
    """Read a transcript; `.vtt`, `.srt`, `.json`, `.yml`, `.yaml`, anything else is plain text.

    Plain text has no times.  `duration_s`: of the recording, if known.
    Raises UserError `transcript_not_found`, `transcript_too_large`, `transcript_not_utf8`,
    `bad_transcript`.
    """
    if not path.is_file():
        raise UserError("transcript_not_found", f"No transcript at {path}; check the path.")
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    try:
        return parse_transcript(content, path.suffix, duration_s)
    except UserError as error:
        raise UserError(error.code, f"{path.name}: {error.sentence}") from error


def parse_transcript(
    content: bytes, suffix: str, duration_s: float | None = None, max_bytes: int = MAX_BYTES
) -> Transcript:
    """Parse the content of a transcript's file; see `read_transcript`, which it raises as."""
    return _parse(_text(content, max_bytes), suffix.lower(), duration_s)


def chunks_of(value: Any) -> list[RawChunk]:
    """Return the chunks of parsed JSON or YAML, times as they are stated.

    Raises UserError `bad_transcript` where it holds none.
    """
    listed = value
    if isinstance(value, Mapping):
        listed = value.get("chunks", value.get("segments"))
    if not isinstance(listed, list | tuple):
        raise UserError("bad_transcript", "It holds no list of chunks or segments.")
    if len(listed) > MAX_CHUNKS:
        raise UserError("bad_transcript", f"It holds more than {MAX_CHUNKS} chunks.")
    chunks = [_chunk(item, place) for place, item in enumerate(listed, start=1)]
    if sum(len(chunk.text) for chunk in chunks) > MAX_BYTES:  # a text may be named many times
        raise UserError("bad_transcript", f"Its texts have more than {MAX_BYTES:,} characters.")
    return chunks


def _text(content: bytes, max_bytes: int) -> str:
    if len(content) > max_bytes:
        raise UserError("transcript_too_large", f"It is larger than {_size(max_bytes)}; split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            "transcript_not_utf8",
            f"It is not UTF-8 text (byte {error.start + 1}); save it as UTF-8.",
        ) from error
    if "\0" in text:
        raise UserError("bad_transcript", "It holds NUL bytes; give a text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _parse(text: str, suffix: str, duration_s: float | None) -> Transcript:
    if suffix in (".vtt", ".srt"):
        if suffix == ".vtt" and not text.startswith("WEBVTT"):
            raise UserError("bad_transcript", "It does not begin with WEBVTT.")
        cues, rolled_over = read_cues(text, MAX_CHUNKS)
        return subtitles(cues, duration_s, rolled_over)
    if suffix == ".json":
        return _from_chunks(_json(text), duration_s)
    if suffix in (".yml", ".yaml"):
        return _from_chunks(_yaml(text), duration_s)
    if "-->" in text:
        raise UserError("bad_transcript", "It looks like subtitles; name it .vtt or .srt.")
    return Transcript(" ".join(text.split()), (), Repairs())


def _from_chunks(value: Any, duration_s: float | None) -> Transcript:
    return one_timeline(chunks_of(value), duration_s)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise UserError("bad_transcript", f"It is not JSON: {error}.") from error


class _Loader(yaml.CSafeLoader):
    """A safe loader that also reads the tuples that Python programs write, and merges nothing."""

    def flatten_mapping(self, _node: yaml.MappingNode) -> None:
        """Leave `<<` as it is, which is then refused: merges can multiply without bound."""


def _tuple(loader: _Loader, node: yaml.SequenceNode) -> tuple[Any, ...]:
    return tuple(loader.construct_sequence(node))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def _yaml(text: str) -> Any:
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UserError("bad_transcript", "It is nested too deeply.")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise UserError("bad_transcript", f"It is not YAML that can be read: {problem}.") from error


def _chunk(item: Any, place: int) -> RawChunk:
    text = item.get("text") if isinstance(item, Mapping) else None
    if not isinstance(text, str):
        raise UserError("bad_transcript", f"Piece {place} has no text.")
    times = item.get("timestamp", (item.get("start"), item.get("end")))
    if not isinstance(times, list | tuple) or len(times) != 2:
        raise UserError("bad_transcript", f"Piece {place} has no timestamp of two times.")
    return RawChunk(text, times[0], times[1])

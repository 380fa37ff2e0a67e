"""What the annotation file says about one video, in compact form.

Does: read one entry into a record, keeping seconds and frame numbers apart and noting what cannot
be used.  Does not: read files, compare with other files, or mend times (see release).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from mllm_affect.data.bah.layout import frame_of, key_of

_CLOCK = re.compile(r"^(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$")


class RawWords(BaseModel):
    """A chunk of the transcript as written: its clock may restart and its end be unknown."""

    model_config = ConfigDict(frozen=True)

    text: str
    start_s: float | None = None
    end_s: float | None = None


class Annotation(BaseModel):
    """One video's annotations.

    `written`: its path as the file writes it.  `spans_s` (from time_detailed_ah, seconds) and
    `frame_spans` (from fr_detailed_ah, first and last index, both included) are each as annotated.
    `frame_runs`: frame_annotation as runs of equal label and consecutive index (first, last,
    label).  `cues`, `certainty` (scale not published) and `annotator` are kept as they are.
    `problems`: codes of what could not be read.
    """

    model_config = ConfigDict(frozen=True)

    written: str
    global_ah: int | None = None
    spans_s: tuple[tuple[float, float], ...] = ()
    frame_spans: tuple[tuple[int, int], ...] = ()
    frame_runs: tuple[tuple[int, int, int], ...] = ()
    cues: Any = None
    certainty: Any = None
    annotator: Any = None
    transcript: str | None = None
    words: tuple[RawWords, ...] = ()
    problems: tuple[str, ...] = ()


def read_annotation(written: str, entry: Any) -> Annotation:
    """Read the value of one entry of the annotation file."""
    if not isinstance(entry, Mapping):
        return Annotation(written=written, problems=("not_a_mapping",))
    problems: list[str] = []
    transcript = entry.get("transcript")
    spoken = transcript if isinstance(transcript, Mapping) else {}
    text = spoken.get("text") if spoken else transcript
    return Annotation(
        written=written,
        global_ah=_label(entry.get("global_ah"), "global_ah", problems),
        spans_s=_pairs(entry.get("time_detailed_ah"), clock_s, "time_detailed_ah", problems),
        frame_spans=_pairs(entry.get("fr_detailed_ah"), _frame, "fr_detailed_ah", problems),
        frame_runs=_runs(written, entry.get("frame_annotation"), problems),
        cues=entry.get("all_cues"),
        certainty=entry.get("certainty_ah"),
        annotator=entry.get("annotator_id"),
        transcript=text.strip() if isinstance(text, str) else None,
        words=tuple(read_words(spoken.get("chunks"), problems)),
        problems=tuple(problems),
    )


def read_words(chunks: Any, problems: list[str]) -> list[RawWords]:
    """Read a transcript's chunks (text and a pair of times, either of them may be null)."""
    made = []
    for chunk in chunks or ():
        times = chunk.get("timestamp") if isinstance(chunk, Mapping) else None
        if not isinstance(times, Sequence) or len(times) != 2 or isinstance(times, str):
            problems.append("chunks")
            continue
        start_s, end_s = (None if time is None else clock_s(time) for time in times)
        made.append(RawWords(text=str(chunk.get("text", "")), start_s=start_s, end_s=end_s))
    return made


def clock_s(value: Any) -> float | None:
    """Return seconds of `HH:MM:SS.mmm` or of a number, None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    found = _CLOCK.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _frame(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _label(value: Any, name: str, problems: list[str]) -> int | None:
    if value in (0, 1):
        return int(value)
    problems.append(name)
    return None


def _pairs(value: Any, read: Any, name: str, problems: list[str]) -> tuple[tuple[Any, Any], ...]:
    pairs = []
    for pair in value or ():
        ends = (
            [read(end) for end in pair] if isinstance(pair, list | tuple) and len(pair) == 2 else []
        )
        if len(ends) != 2 or None in ends:
            problems.append(name)
            continue
        pairs.append((ends[0], ends[1]))
    return tuple(pairs)


def _runs(written: str, pairs: Any, problems: list[str]) -> tuple[tuple[int, int, int], ...]:
    """Return (first, last, label) of every run of consecutive frames with one label."""
    own = key_of(written)
    runs: list[list[int]] = []
    same_video: set[str] = set()
    for pair in pairs or ():
        frame = frame_of(pair[0]) if len(pair) == 2 and isinstance(pair[0], str) else None
        if frame is None or pair[1] not in (0, 1):
            problems.append("frame_annotation")
            continue
        if frame[0] not in same_video:
            if key_of(frame[0]) != own:
                problems.append("frame_of_another_video")
                continue
            same_video.add(frame[0])
        if runs and runs[-1][1] + 1 == frame[1] and runs[-1][2] == pair[1]:
            runs[-1][1] = frame[1]
        else:
            runs.append([frame[1], frame[1], int(pair[1])])
    return tuple((first, last, label) for first, last, label in runs)

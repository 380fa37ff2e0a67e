"""Blind segmentation: spans of at most five seconds, decided by timestamps alone.

Does: cut the frames of a source into segments, every frame in exactly one, in decode order.
Does not: look at pictures, sound or labels, or write files.  See docs/design/0003.
"""

from collections.abc import Sequence
from fractions import Fraction

from mllm_affect.errors import UserError
from mllm_affect.media.frames import FrameClock
from mllm_affect.media.opening import main_audio, main_video, open_media
from mllm_affect.media.types import Segment, Source

MAX_SECONDS = 5.0
SEGMENTER = "greedy-1"
"""Name and version of the rule, recorded beside every result."""


def segment(source: Source, max_seconds: float = MAX_SECONDS) -> tuple[Segment, ...]:
    """Cut a source into segments whose last frame ends at most `max_seconds` after their start.

    Raises UserError `bad_max_seconds`, `no_frames`, or as opening does.
    """
    if not 0.1 <= max_seconds <= 60.0:
        raise UserError(
            "bad_max_seconds",
            f"--max-seconds is {max_seconds}; give a number of seconds from 0.1 to 60.",
        )
    ticks, last_ticks, time_base, audio_span = _timeline(source)
    ends = frame_ends(ticks, last_ticks)
    bound = int(Fraction(str(max_seconds)) / time_base)
    made = []
    for index, (first, count) in enumerate(greedy_spans(ticks, ends, bound)):
        start_s = float(ticks[first] * time_base)
        end_s = float(min(ends[first + count - 1], ticks[first] + bound) * time_base)
        has_audio = audio_span is not None and audio_span[0] < end_s and audio_span[1] > start_s
        made.append(Segment(source.sha256, index, start_s, end_s, first, count, has_audio))
    return tuple(made)


def greedy_spans(ticks: Sequence[int], ends: Sequence[int], bound: int) -> list[tuple[int, int]]:
    """Return (first frame, number of frames) of each span.

    A span takes frames while a frame's end is at most `bound` ticks after the span's first frame;
    a frame that alone exceeds the bound makes a span of its own.
    """
    spans: list[tuple[int, int]] = []
    first = 0
    for index in range(1, len(ticks)):
        if ends[index] - ticks[first] > bound:
            spans.append((first, index - first))
            first = index
    if ticks:
        spans.append((first, len(ticks) - first))
    return spans


def frame_ends(ticks: Sequence[int], last_ticks: int) -> list[int]:
    """Return where each frame ends: at its successor, the last one after `last_ticks`."""
    return [*ticks[1:], ticks[-1] + last_ticks] if ticks else []


def _timeline(
    source: Source,
) -> tuple[list[int], int, Fraction, tuple[float, float] | None]:
    """Decode once; return frame ticks, the last frame's length, time base and the audio's span."""
    audio_span: tuple[float, float] | None = None
    with open_media(source.path) as container:
        stream, audio = main_video(container), main_audio(container)
        if stream is None:
            raise UserError("no_video", f"{source.path.name} holds no video track.")
        clock = FrameClock(stream)
        ticks: list[int] = []
        own_ticks = 0
        for packet in container.demux([stream, audio] if audio else [stream]):
            if packet.stream is stream:
                for frame in clock.decode(packet):
                    ticks.append(frame.ticks)
                    own_ticks = frame.own_ticks
            elif packet.pts is not None and packet.size:
                begin = float(packet.pts * packet.time_base)
                end = begin + float((packet.duration or 0) * packet.time_base)
                audio_span = (
                    (begin, end)
                    if audio_span is None
                    else (
                        min(audio_span[0], begin),
                        max(audio_span[1], end),
                    )
                )
    if not ticks:
        raise UserError("no_frames", f"{source.path.name} has a video track without any frame.")
    return (
        ticks,
        _last_length(ticks, own_ticks, clock.time_base, source),
        clock.time_base,
        audio_span,
    )


def _last_length(ticks: list[int], own_ticks: int, time_base: Fraction, source: Source) -> int:
    """Return the last frame's length: its own, else the mean gap, else one at the stated rate."""
    if own_ticks > 0:
        return own_ticks
    if len(ticks) > 1:
        return max(1, round((ticks[-1] - ticks[0]) / (len(ticks) - 1)))
    rate = Fraction(source.average_fps or 25.0)
    return max(1, round(1 / rate / time_base))

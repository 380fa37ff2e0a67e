"""When somebody speaks and when nobody does, per segment.

Does: run a speech detector over the sound of a reading, remembering what came before each cut;
turn its probabilities into spans.  Does not: tell who speaks, or what is said.

The detector (Silero VAD, MIT) gives a probability for every 32 ms and has a memory.  Because that
is carried on, a cut changes nothing but this: up to 10 ms at the end of a segment are no whole hop
and are never heard (decoding.audio), and a span that touches a cut is kept however short it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.types import AUDIO_RATE, Segment, Source
from mllm_affect.media.weights import REMEDY, SPEECH_DETECTOR, load

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WINDOW = 512
"""Samples of which the detector gives one probability."""
CONTEXT = 64
"""Samples before each window that it also hears."""
MEMORY = 128
"""Numbers in each half of its memory."""
ADJACENT_S = 0.05
"""A segment that begins this near the end of the one before continues it."""


@dataclass(frozen=True)
class Span:
    """A stretch of time in seconds on the video's timeline."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class SpeechActivity:
    """Who listens knows: `speech` and `pauses` cover the segment in turn, without overlap.

    `heard` is False for a segment without sound; then there is neither.  `speech_share` is of the
    segment's time; `longest_pause_s` is that within this segment, a pause across a cut counts in
    each part.
    """

    heard: bool
    speech: tuple[Span, ...]
    pauses: tuple[Span, ...]
    speech_share: float
    longest_pause_s: float


@dataclass(frozen=True)
class SpeechPart:
    """Asks the reader for speech activity.

    Speech begins where the probability reaches `begin_at` and ends where it falls below `end_at`;
    pauses shorter than `min_pause_s` are bridged, then speech shorter than `min_speech_s` is
    dropped (neither where it touches a cut).
    """

    begin_at: float = 0.5
    end_at: float = 0.35
    min_pause_s: float = 0.1
    min_speech_s: float = 0.1
    kept_as: ClassVar[str] = f"speech-activity-1 {SPEECH_DETECTOR.sha256[:12]}"

    def listen(self, source: Source) -> "SpeechListener":
        """Return a fresh listener.

        Raises UserError `weights_missing`, `weights_differ` or `package_missing` where there is
        sound and the detector is not installed.
        """
        return SpeechListener(self, source.has_audio)

    def pack(self, made: SpeechActivity) -> dict[str, NDArray[Any]]:
        """Return spans and shares as arrays, for the clip cache."""
        spans = {"speech_N2": made.speech, "pauses_N2": made.pauses}
        return {
            "heard": np.array(made.heard),
            "shares_2": np.array([made.speech_share, made.longest_pause_s]),
            **{
                name: np.array([(one.start_s, one.end_s) for one in some]).reshape(-1, 2)
                for name, some in spans.items()
            },
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> SpeechActivity:
        """Return what `pack` was given."""
        speech, pauses = (
            tuple(Span(*span) for span in arrays[name].tolist())
            for name in ("speech_N2", "pauses_N2")
        )
        share, longest_s = arrays["shares_2"].tolist()
        return SpeechActivity(bool(arrays["heard"]), speech, pauses, share, longest_s)


class SpeechListener:
    """Hears the segments of one reading in order."""

    def __init__(self, part: SpeechPart, has_audio: bool) -> None:
        self._part = part
        self._detector = _Detector(_session() if has_audio else None)
        self._speaking = False
        self._waiting_S = np.zeros(0, dtype=np.float32)
        self._ended_s: float | None = None

    def hear(self, segment: Segment, audio_S: NDArray[np.int16] | None) -> SpeechActivity:
        """Return what was heard in the segment."""
        if self._ended_s is None or abs(segment.start_s - self._ended_s) > ADJACENT_S:
            self._forget()
        self._ended_s = segment.end_s
        if audio_S is None:
            self._forget()
            return SpeechActivity(False, (), (), 0.0, 0.0)
        length = round(segment.duration_s * AUDIO_RATE)
        new_S = audio_S[:length].astype(np.float32) / 32768
        begins_s = segment.start_s - len(self._waiting_S) / AUDIO_RATE
        samples_S = np.concatenate([self._waiting_S, new_S])
        whole = len(samples_S) // WINDOW * WINDOW
        self._waiting_S = samples_S[whole:]
        speaking_before = self._speaking
        states = self._states(self._detector.probabilities(samples_S[:whole]))
        spans = list(_spans(states, speaking_before, begins_s, segment))
        return activity(_tidied(spans, self._part, segment), segment)

    def _states(self, probabilities_W: NDArray[np.float32]) -> list[bool]:
        """Return for each window whether somebody speaks."""
        states = []
        for probability in probabilities_W:
            limit = self._part.end_at if self._speaking else self._part.begin_at
            self._speaking = bool(probability >= limit)
            states.append(self._speaking)
        return states

    def _forget(self) -> None:
        self._detector.forget()
        self._speaking = False
        self._waiting_S = np.zeros(0, dtype=np.float32)


def activity(speech: Sequence[Span], segment: Segment) -> SpeechActivity:
    """Return spans of speech together with the pauses between them."""
    borders = [segment.start_s, *(t for s in speech for t in (s.start_s, s.end_s)), segment.end_s]
    between = zip(borders[::2], borders[1::2], strict=True)
    pauses = tuple(Span(start_s, end_s) for start_s, end_s in between if end_s > start_s)
    return SpeechActivity(
        heard=True,
        speech=tuple(speech),
        pauses=pauses,
        speech_share=sum(span.duration_s for span in speech) / segment.duration_s,
        longest_pause_s=max((span.duration_s for span in pauses), default=0.0),
    )


def _spans(
    states: Sequence[bool], speaking_before: bool, begins_s: float, segment: Segment
) -> Iterator[Span]:
    """Yield the spans of speech; what is after the last whole window is as that window."""
    since_s = segment.start_s if speaking_before else None
    for place, speaking in enumerate(states):
        time_s = max(segment.start_s, begins_s + place * WINDOW / AUDIO_RATE)
        if speaking and since_s is None:
            since_s = time_s
        elif not speaking and since_s is not None:
            if time_s > since_s:
                yield Span(since_s, time_s)
            since_s = None
    if since_s is not None and since_s < segment.end_s:
        yield Span(since_s, segment.end_s)


def _tidied(spans: Sequence[Span], part: SpeechPart, segment: Segment) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start_s - joined[-1].end_s < part.min_pause_s:
            joined[-1] = Span(joined[-1].start_s, span.end_s)
        else:
            joined.append(span)
    return [
        span
        for span in joined
        if span.duration_s >= part.min_speech_s
        or span.start_s <= segment.start_s
        or span.end_s >= segment.end_s
    ]


class _Detector:
    """The model and its memory of one reading."""

    def __init__(self, session: "InferenceSession | None") -> None:
        self._session = session
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._h = np.zeros((1, 1, MEMORY), dtype=np.float32)
        self._c = np.zeros((1, 1, MEMORY), dtype=np.float32)
        self._context_S = np.zeros(CONTEXT, dtype=np.float32)

    def probabilities(self, samples_S: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one probability for each window of samples (-1 to 1), a whole number of them."""
        if self._session is None or not len(samples_S):
            return np.zeros(0, dtype=np.float32)
        heard_S = np.concatenate([self._context_S, samples_S])
        overlapping = np.lib.stride_tricks.sliding_window_view(heard_S, CONTEXT + WINDOW)
        inputs = {"input": overlapping[::WINDOW].copy(), "h": self._h, "c": self._c}
        probabilities_W, self._h, self._c = self._session.run(None, inputs)
        self._context_S = heard_S[-CONTEXT:]
        return np.asarray(probabilities_W, dtype=np.float32)


@cache
def _session() -> "InferenceSession":
    """Load the detector once a process; it may run in several threads, each call in one."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "package_missing", f"Speech activity needs onnxruntime; {REMEDY}."
        ) from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = load(SPEECH_DETECTOR)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

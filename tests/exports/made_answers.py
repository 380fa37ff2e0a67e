"""Answers about an invented video of 12 seconds, with everything that makes exporting hard."""

from typing import Any

from mllm_affect.exports.analysis import Analysis
from mllm_affect.media.observed import FacePlace, Observed
from mllm_affect.media.speech.activity import Span
from mllm_affect.media.types import Sampling
from mllm_affect.scoring.abstention import Quality
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer
from mllm_affect.scoring.video_events import Event

BORDERS = ((1.4, 6.4), (6.4, 11.4), (11.4, 13.4))
"""The clock of this video does not begin at zero."""

EVENTS = (
    Event(3.0, 3.2, 3.4, 0.91, "micro-expression", {"brow lowerer": 0.8}),
    Event(3.3, 3.9, 4.5, 0.62, "macro-expression"),
)
"""They overlap."""

AWKWARD = 'She says "no" --> <b>&amp; looks\n\naway\x0b, smiles \u2603'


def seen(index: int, start_s: float, end_s: float) -> Observed:
    """Speech in the middle of a segment, a face throughout."""
    return Observed(
        index=index,
        start_s=start_s,
        end_s=end_s,
        heard=True,
        speech=(Span(start_s + 0.5, end_s - 0.5),),
        pauses=(Span(start_s, start_s + 0.5), Span(end_s - 0.5, end_s)),
        speech_share=0.75,
        longest_pause_s=0.5,
        face_share=0.9,
        face_size_px=41.0,
        faces=(
            FacePlace(time_s=start_s, left=0.2, top=0.1, width=0.3, height=0.4, score=0.8),
            FacePlace(time_s=end_s - 0.1, left=0.4, top=0.3, width=0.3, height=0.4, score=0.6),
        ),
    )


OBSERVED = tuple(seen(index, *borders) for index, borders in enumerate(BORDERS[:2]))
"""The last segment was not looked at."""


def told(task: str, segments: tuple[SegmentAnswer, ...], **fields: Any) -> VideoAnswer:
    return VideoAnswer(
        answer=fields.get("answer", "yes"),
        probabilities=fields.get("probabilities", {"yes": 0.6, "no": 0.4}),
        segments=segments,
        task=task,
        question=fields.get("question", "Is this person ambivalent or hesitant?"),
        prompt_hash="ab" * 32,
        pooling=fields.get("pooling", "duration_mean"),
        positive=fields.get("positive", "yes"),
        threshold=0.5,
        model="toy",
        sampling=Sampling(fps=4.0, max_pixels=4096),
        segmenter="test",
        max_seconds=5.0,
        source_sha256=fields.get("source_sha256", "a" * 64),
        duration_s=12.0,
        timings_s={"total": 0.1},
    )


def scored(*p_yes: float) -> VideoAnswer:
    """An answer to `ah` with these probabilities of yes."""
    segments = tuple(
        SegmentAnswer(
            index=index,
            start_s=start_s,
            end_s=end_s,
            has_audio=True,
            answer="yes" if p >= 0.5 else "no",
            probabilities={"yes": p, "no": 1 - p},
            logit=0.0,
            quality=Quality(brightness=0.4, has_sound=True),
        )
        for index, ((start_s, end_s), p) in enumerate(zip(BORDERS, p_yes, strict=True))
    )
    return told("ah", segments)


def spoken() -> VideoAnswer:
    """Free text about the same segments, hard to write down."""
    segments = tuple(
        SegmentAnswer(
            index=index, start_s=start_s, end_s=end_s, has_audio=False, answer=AWKWARD,
            probabilities={},
        )
        for index, (start_s, end_s) in enumerate(BORDERS)
    )  # fmt: skip
    return told("question-1", segments, answer=None, probabilities={}, positive=None, question="=1")


def counted(*segments: SegmentAnswer) -> VideoAnswer:
    """How many expressions there are; the segments are those."""
    fields = {"answer": str(len(segments)), "probabilities": {}, "positive": None}
    return told("lvqa", segments, **fields, pooling="profile", question="How many?")


def analysis() -> Analysis:
    """Both answers, and overlapping events."""
    return Analysis("my interview & more.mp4", (scored(0.9, 0.7, 0.2), spoken()), EVENTS, OBSERVED)


def plain() -> Analysis:
    """One answer, nothing beside it."""
    return Analysis("v.mp4", (scored(0.9, 0.7, 0.2),))

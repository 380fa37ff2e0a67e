"""What an answer about a video is, everywhere: in Python, over HTTP, in files.

Does: describe results with all they depend on, and assemble a video's answer from its segments'.
Does not: ask an engine or read media.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.media.types import Sampling, Segment
from mllm_affect.scoring.pooling import decide, pool
from mllm_affect.tasks.task import Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Remark(_Frozen):
    """Something the reader of an answer should know; `code` is stable."""

    code: str
    sentence: str


class SegmentAnswer(_Frozen):
    """The answer about one segment; times in seconds on the video's own timestamps."""

    index: int
    start_s: float
    end_s: float
    has_audio: bool
    answer: str
    probabilities: dict[str, float] = Field(description="Per allowed answer; empty for free text.")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class VideoAnswer(_Frozen):
    """The answer about a whole video, with everything that it depends on.

    `answer` is None only for free text about several segments: there each segment has its own.
    """

    answer: str | None
    probabilities: dict[str, float] = Field(
        description="Pooled over segments, per allowed answer; empty for free text."
    )
    segments: tuple[SegmentAnswer, ...]
    task: str = Field(description="Id of the task; made from the question where that was asked.")
    question: str
    prompt_hash: str
    pooling: str
    positive: str | None
    threshold: float
    model: str
    sampling: Sampling
    segmenter: str
    max_seconds: float
    source_sha256: str
    duration_s: float
    timings_s: dict[str, float] = Field(description="Seconds spent per stage.")
    warnings: tuple[Remark, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, the same that the service sends."""
        return self.model_dump(mode="json")


def segment_answer(
    segment: Segment, has_audio: bool, answer: str, probabilities: dict[str, float]
) -> SegmentAnswer:
    """Return the answer about one segment; `has_audio`: whether the model heard anything."""
    return SegmentAnswer(
        index=segment.index,
        start_s=segment.start_s,
        end_s=segment.end_s,
        has_audio=has_audio,
        answer=answer,
        probabilities=probabilities,
    )


def combine(task: Task, segments: Sequence[SegmentAnswer]) -> tuple[str | None, dict[str, float]]:
    """Return the video's answer and probabilities from its segments' (at least one)."""
    if not task.answers:
        return (segments[0].answer if len(segments) == 1 else None), {}
    durations = [segment.duration_s for segment in segments]
    distributions = [segment.probabilities for segment in segments]
    pooled = pool(task.pooling, distributions, durations, task.positive)
    return decide(pooled, task.positive, task.threshold), pooled

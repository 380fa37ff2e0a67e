"""What an answer about a video is, everywhere: in Python, over HTTP, in files.

Does: describe results with all they depend on, and a segment's answer from what an engine said.
Does not: ask an engine, read media or pool (see rule).
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.media.types import Clip, Sampling
from mllm_affect.safe_text import encodable
from mllm_affect.scoring.abstention import Quality, Remark, quality_of
from mllm_affect.scoring.logits import segment_logit
from mllm_affect.tasks.task import Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentAnswer(_Frozen):
    """The answer about one segment; times in seconds on the video's own timestamps."""

    index: int
    start_s: float
    end_s: float
    has_audio: bool
    answer: str
    probabilities: dict[str, float] = Field(description="Per allowed answer; empty for free text.")
    logit: float | None = Field(
        default=None,
        description="log p(positive) - log p(not positive), where the task has a positive answer.",
    )
    quality: Quality | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    def with_face_share(self, share: float) -> "SegmentAnswer":
        """Return a copy whose quality says in which share of the frames a face was found."""
        seen = self.quality and self.quality.model_copy(update={"face_share": share})
        return self.model_copy(update={"quality": seen})


class VideoVerdict(_Frozen):
    """The answer about a whole video, with everything that it depends on, without its segments.

    `answer` is None for free text about several segments, where each segment has its own, and
    where the rule abstains; the probabilities are told all the same.
    """

    answer: str | None
    abstained: bool = False
    abstained_because: tuple[Remark, ...] = ()
    probabilities: dict[str, float] = Field(
        description="Pooled over segments and calibrated, per allowed answer; empty for free text."
    )
    uncalibrated: dict[str, float] = Field(
        default={}, description="As pooled, before calibration; the same where there is none."
    )
    calibration: str | None = Field(
        default=None,
        description="Id of the entry of scoring.json that pooled, calibrated and decided; null: "
        "the task's own pooling and threshold.",
    )
    temperature: float | None = Field(
        default=None,
        description="Of the calibration: a probability p, of a segment too, is calibrated as "
        "sigmoid(logit(p) / temperature + bias); null: none, or not recorded.",
    )
    bias: float | None = Field(default=None, description="Of the calibration; see temperature.")
    task: str = Field(description="Id of the task; made from the question where that was asked.")
    question: str
    prompt_hash: str
    context_sha256: str | None = Field(
        default=None,
        description="Hash of what the model was told of questions and words; null: nothing.",
    )
    pooling: str
    positive: str | None
    threshold: float
    model: str
    sampling: Sampling
    segmenter: str
    max_seconds: float
    source_sha256: str
    video_stream: int | None = Field(
        default=None, description="The video stream that was read; FFmpeg counts streams from 0."
    )
    audio_stream: int | None = Field(
        default=None, description="The sound stream that was read; null: no sound."
    )
    duration_s: float
    timings_s: dict[str, float] = Field(description="Seconds spent per stage.")
    warnings: tuple[Remark, ...] = ()


class VideoAnswer(VideoVerdict):
    """The answer about a whole video, and about each of its segments."""

    segments: tuple[SegmentAnswer, ...]

    def verdict(self) -> VideoVerdict:
        """Return it without the segments."""
        return VideoVerdict(**{name: getattr(self, name) for name in VideoVerdict.model_fields})

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, the same that the service sends."""
        return self.model_dump(mode="json")


def segment_answer(
    clip: Clip, task: Task, answer: str, probabilities: dict[str, float]
) -> SegmentAnswer:
    """Return the answer about one clip; `probabilities` empty for free text."""
    scored = task.positive is not None and bool(probabilities)
    return SegmentAnswer(
        index=clip.segment.index,
        start_s=clip.segment.start_s,
        end_s=clip.segment.end_s,
        has_audio=clip.audio_S is not None,
        answer=encodable(answer),
        probabilities=probabilities,
        logit=segment_logit(probabilities, task.positive) if scored and task.positive else None,
        quality=quality_of(clip),
    )

"""What travels between the service and its clients, as JSON.

Does: describe it, for both sides.  Does not: send.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mllm_affect.scoring.abstention import Remark
from mllm_affect.scoring.answers import SegmentAnswer, VideoVerdict

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def _refuse_surrogates(text: str) -> str:
    """Return the text.  Raises ValueError for half a character, which JSON can spell."""
    text.encode("utf-8")  # UnicodeEncodeError is a ValueError
    return text


Text = Annotated[str, AfterValidator(_refuse_surrogates)]
"""Text that can be stored, hashed and sent on as UTF-8."""


class VideoInfo(BaseModel):
    """An uploaded video; the same bytes always have the same id."""

    model_config = ConfigDict(extra="forbid")

    id: str
    sha256: str
    size_bytes: int
    container: str
    duration_s: float = Field(
        description="Length in seconds, by the packets where the file misstates it."
    )
    fps: float = Field(description="Average frame rate.")
    width: int
    height: int
    has_audio: bool
    video_stream: int | None = Field(
        default=None, description="The video stream that is read; FFmpeg counts streams from 0."
    )
    audio_stream: int | None = Field(
        default=None, description="The sound stream that is read; null: no sound."
    )
    segments: int = Field(description="Number of segments of at most 5 s.")
    warnings: list[Remark] = Field(
        default=[], description="What is dropped, repaired or converted when the video is read."
    )
    created_at: datetime


class AnalysisRequest(BaseModel):
    """A task, or a question of one's own, about an uploaded video: exactly one of both."""

    model_config = ConfigDict(extra="forbid")

    video_id: Id
    task: Text | None = Field(default=None, description="Id of a task, see /v1/tasks.")
    question: Text | None = Field(default=None, description="A question of your own.")
    answers: list[Text] = Field(
        default=[], description="What the question may be answered with; empty for free text."
    )
    asked: Text | None = Field(
        default=None, description="What the person was asked, for tasks that tell the model."
    )
    transcript: Text | None = Field(
        default=None, description="What is said, for tasks that tell the model."
    )
    transcript_kind: Literal["txt", "vtt", "srt", "json", "yml"] = Field(
        default="txt", description="How the transcript is written; txt has no times."
    )
    webhook_url: Text | None = Field(
        default=None,
        description="Where the service tells that the analysis has ended: an https address at a "
        "host that the service allows.",
    )


class Progress(BaseModel):
    """Segments answered, of how many."""

    done: int
    total: int


class Failure(BaseModel):
    """Why an analysis failed; `code` is stable, `detail` one sentence."""

    code: str
    detail: str


class WebhookState(BaseModel):
    """How the webhook of an analysis stands; `waiting` until the analysis has ended."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["waiting", "pending", "delivered", "failed"]
    delivery_id: str | None = Field(description="The `webhook-id` of every try.")
    tries: int
    last_status: int | None = Field(description="What the receiver answered last.")
    last_error: str | None = Field(description="Why there was no answer last; a stable code.")
    next_try_at: datetime | None


class Analysis(BaseModel):
    """An analysis and how far it is.

    `answer` is there once it has succeeded; the answers about segments are pages of their own.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    video_id: str
    status: Status
    progress: Progress
    task: str
    question: str
    answers: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Failure | None
    answer: VideoVerdict | None
    webhook: WebhookState | None = None


class AnalysisPage(BaseModel):
    """Some analyses, the newest first; `next` is the `before` of the next page, if there is one."""

    items: list[Analysis]
    next: str | None


class SegmentPage(BaseModel):
    """Some segments' answers by time; `next` is the `start` of the next page, if there is one."""

    items: list[SegmentAnswer]
    next: int | None

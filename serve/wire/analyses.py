"""An analysis as clients ask for it and see it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.scoring.answers import SegmentAnswer, VideoVerdict
from serve.store.analyses import StoredAnalysis
from serve.wire.times import time_of

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class AnalysisRequest(BaseModel):
    """A task, or a question of one's own, about an uploaded video: exactly one of both."""

    model_config = ConfigDict(extra="forbid")

    video_id: Id
    task: str | None = Field(default=None, description="Id of a task, see /v1/tasks.")
    question: str | None = Field(default=None, description="A question of your own.")
    answers: list[str] = Field(
        default=[], description="What the question may be answered with; empty for free text."
    )
    asked: str | None = Field(
        default=None, description="What the person was asked, for tasks that tell the model."
    )
    transcript: str | None = Field(
        default=None, description="What is said, for tasks that tell the model."
    )
    transcript_kind: Literal["txt", "vtt", "srt", "json", "yml"] = Field(
        default="txt", description="How the transcript is written; txt has no times."
    )


class Progress(BaseModel):
    """Segments answered, of how many."""

    done: int
    total: int


class Failure(BaseModel):
    """Why an analysis failed; `code` is stable, `detail` one sentence."""

    code: str
    detail: str


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


class AnalysisPage(BaseModel):
    """Some analyses, the newest first; `next` is the `before` of the next page, if there is one."""

    items: list[Analysis]
    next: str | None


class SegmentPage(BaseModel):
    """Some segments' answers by time; `next` is the `start` of the next page, if there is one."""

    items: list[SegmentAnswer]
    next: int | None


def analysis_info(found: StoredAnalysis) -> Analysis:
    """Return what is sent about a stored analysis."""
    failed = found.error_code is not None
    return Analysis(
        id=found.id,
        video_id=found.video_id,
        status=found.status,  # type: ignore[arg-type]  # checked by the model
        progress=Progress(done=found.done, total=found.total),
        task=found.task.id,
        question=found.task.question,
        answers=list(found.task.answers),
        created_at=time_of(found.created_s),
        started_at=time_of(found.started_s),
        finished_at=time_of(found.finished_s),
        error=Failure(code=found.error_code or "", detail=found.error_detail or "")
        if failed
        else None,
        answer=found.answer,
    )

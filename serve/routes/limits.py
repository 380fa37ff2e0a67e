"""`/v1/limits`: what may be sent, and how long it is kept."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from mllm_affect.engine.answer_tree import LONGEST_ANSWER, MOST_ANSWERS
from mllm_affect.engine.largest_question import LONGEST_QUESTION
from mllm_affect.media.limits import AUDIO_CODECS, CONTAINERS, VIDEO_CODECS
from serve.problems import problem_responses
from serve.state import State, bearer

router = APIRouter(tags=["limits"], dependencies=[Depends(bearer)])


class LimitInfo(BaseModel):
    """The bounds of this service."""

    upload_bytes: int
    video_seconds: float
    video_pixels: int
    frames_per_second: float
    containers: list[str]
    video_codecs: list[str]
    audio_codecs: list[str]
    segment_seconds: float
    question_characters: int
    answers: int
    answer_characters: int
    ask_video_seconds: float = Field(
        description="Longer videos are answered by POST /v1/ask with 202 and an analysis."
    )
    keep_media_seconds: float
    keep_results_seconds: float


@router.get(
    "/v1/limits",
    operation_id="get_limits",
    summary="What may be sent and how long it is kept",
    responses=problem_responses(401, 403, 429),
)
async def get_limits(state: State) -> LimitInfo:
    """Return the bounds."""
    settings, limits = state.settings, state.settings.limits
    return LimitInfo(
        upload_bytes=settings.max_upload_bytes,
        video_seconds=settings.max_video_seconds,
        video_pixels=limits.pixels,
        frames_per_second=limits.frames_per_second,
        containers=sorted(CONTAINERS.values()),
        video_codecs=sorted(VIDEO_CODECS),
        audio_codecs=sorted(AUDIO_CODECS),
        segment_seconds=state.profile.segment_seconds(),
        question_characters=LONGEST_QUESTION,
        answers=MOST_ANSWERS,
        answer_characters=LONGEST_ANSWER,
        ask_video_seconds=settings.ask_seconds,
        keep_media_seconds=settings.keep_media_s,
        keep_results_seconds=settings.keep_results_s,
    )

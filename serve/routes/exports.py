"""`/v1/videos/{id}/observed` and `/v1/analyses/{id}/export`: what surrounds an answer, and files.

Does: hand the stored answer and what was observed to the library's exports.
Does not: word any format (mllm_affect.exports).
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from mllm_affect.errors import UserError
from mllm_affect.exports import analysis as exporting
from mllm_affect.exports.formats import MEDIA_TYPES, Format, exported
from mllm_affect.media.observed import Observed
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.stopping import Stop
from serve.problems import problem_responses
from serve.request_work import Work
from serve.routes.analyses import AnalysisId
from serve.routes.videos import VideoId
from serve.state import Owner, ServiceState, State, bearer

router = APIRouter(dependencies=[Depends(bearer)], responses=problem_responses(503, 507))

FILES: dict[str, Any] = {
    kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
    for kind in MEDIA_TYPES.values()
}


@router.get(
    "/v1/videos/{video_id}/observed",
    tags=["videos"],
    operation_id="observe_video",
    summary="Speech, pauses and the face",
    responses=problem_responses(401, 403, 404, 422, 429, 503),
)
async def observe(
    request: Request, video_id: VideoId, state: State, owner: Owner
) -> list[Observed]:
    """Return what each segment of a video shows and lets hear; the first time takes a while."""

    def observed(work: Work) -> list[Observed]:
        seconds = state.profile.segment_seconds()
        return list(_observed(state, owner, video_id, seconds, work.stop))

    return await state.work.decode(request, owner, observed)


@router.get(
    "/v1/analyses/{analysis_id}/export",
    tags=["analyses"],
    operation_id="export_analysis",
    summary="The answer as a file",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": FILES},
        **problem_responses(401, 403, 404, 409, 422, 429, 503),
    },
)
async def export(
    request: Request,
    analysis_id: AnalysisId,
    state: State,
    owner: Owner,
    format: Annotated[Format, Query(description="Of the file.")] = Format.json,
    video: Annotated[
        str, Query(max_length=200, description="The video's file name, for players.")
    ] = "video",
    observed: Annotated[
        bool, Query(description="With speech, pauses and the face; see /v1/videos/{id}/observed.")
    ] = False,
) -> Response:
    """Return a finished analysis as JSON, CSV, Parquet, WebVTT or an ELAN document."""

    def made(work: Work) -> Response:
        return _exported(state, owner, analysis_id, format, video, observed, work.stop)

    if observed:
        return await state.work.decode(request, owner, made)
    return await run_in_threadpool(made, Work(Stop(), lambda: None))


def _exported(
    state: ServiceState,
    owner: str,
    analysis_id: str,
    format: Format,
    video: str,
    observed: bool,
    stop: Stop,
) -> Response:
    found = state.analysis(owner, analysis_id)
    if found.answer is None:
        raise UserError("not_answered", "This analysis has no answer; follow it until it has.")
    answer = VideoAnswer(**dict(found.answer), segments=tuple(state.store.results.all(found.id)))
    seen = _observed(state, owner, found.video_id, answer.max_seconds, stop) if observed else ()
    content = exported(exporting.Analysis(video, (answer,), observed=seen), format)
    named = {"Content-Disposition": f'attachment; filename="analysis.{format}"'}
    return Response(content, media_type=MEDIA_TYPES[format], headers=named)


def _observed(
    state: ServiceState, owner: str, video_id: str, max_seconds: float, stop: Stop
) -> tuple[Observed, ...]:
    source = state.video(owner, video_id).source
    found = state.observations.of(video_id, source, max_seconds, state.settings.limits, stop)
    if state.store.videos.get(owner, video_id) is None:  # erased while it was looked at
        state.observations.forget(video_id)
    return found

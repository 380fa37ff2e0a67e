"""`/v1/analyses`: ask for an analysis, follow it, read its segments, stop and erase it.

Does: what clients do with analyses.  Does not: the work (serve.work) or the events (events).
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from mllm_affect.client.models import Analysis, AnalysisPage, AnalysisRequest, Id, SegmentPage
from mllm_affect.errors import UserError
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext
from serve.choosing import chosen_task
from serve.cursors import PATTERN, cursor_of, position_of
from serve.json_body import json_body
from serve.problems import problem_responses
from serve.state import Owner, State, bearer
from serve.store.analyses import StoredAnalysis
from serve.told import TranscriptFile, context_of_request
from serve.webhooks.receiver_url import checked_url
from serve.wire.analyses import analysis_info

router = APIRouter(
    tags=["analyses"], dependencies=[Depends(bearer)], responses=problem_responses(503, 507)
)

AnalysisId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of an analysis.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$",
        description="A name of your own for this request; sent again, it gives the same analysis.",
    ),
]  # fmt: skip
ASKED_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/AnalysisRequest"}}
        },
    }
}
UNKNOWN = "There is no such analysis; it may have been erased."


@router.post(
    "/v1/analyses",
    operation_id="create_analysis",
    summary="Ask for an analysis",
    status_code=202,
    responses=problem_responses(401, 403, 404, 409, 413, 422, 429),
    openapi_extra=ASKED_BODY,
)
async def create_analysis(
    request: Request,
    response: Response,
    state: State,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
) -> Analysis:
    """Let a task, or a question of your own, be answered about an uploaded video.

    The answer comes later: follow `Location`, or its `/events`.
    """
    asked = await json_body(request, AnalysisRequest, state.work)
    webhook_url = None
    if asked.webhook_url is not None:
        webhook_url = str(checked_url(asked.webhook_url, state.settings.webhooks))
    task, context = await state.work.parse(_meant, asked)
    if not state.force:
        state.profile.refuse_other_prompt(state.profile.fit(task))

    def accept() -> StoredAnalysis:
        return state.store.analyses.ask(
            owner,
            state.video(owner, asked.video_id),
            task,
            state.engine.model_id,
            idempotency_key,
            context=context,
            most_waiting=state.settings.most_waiting,
            webhook_url=webhook_url,
        )

    found = await run_in_threadpool(accept)
    state.on_work()
    response.headers["Location"] = f"{state.settings.root_path}/v1/analyses/{found.id}"
    return analysis_info(found)


def _meant(asked: AnalysisRequest) -> tuple[Task, VideoContext]:
    """Return what a request asks, and what it tells besides."""
    task = chosen_task(asked.task, asked.question, tuple(asked.answers))
    told = None
    if asked.transcript is not None:
        content = asked.transcript.encode("utf-8", "replace")
        told = TranscriptFile(f"transcript.{asked.transcript_kind}", content)
    return task, context_of_request(task, told, None, asked.asked)


@router.get(
    "/v1/analyses",
    operation_id="list_analyses",
    summary="Your analyses",
    responses=problem_responses(401, 403, 422, 429),
)
def list_analyses(
    state: State,
    owner: Owner,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[
        str | None, Query(pattern=PATTERN, description="`next` of the page before.")
    ] = None,
    video_id: Annotated[Id | None, Query(description="Only those about this video.")] = None,
) -> AnalysisPage:
    """List analyses, the newest first."""
    after = None if before is None else position_of(before, owner, video_id)
    found = state.store.analyses.page(owner, after, limit + 1, video_id)
    shown = found[:limit]
    more = cursor_of(shown[-1].position, owner, video_id) if len(found) > limit else None
    return AnalysisPage(items=[analysis_info(one) for one in shown], next=more)


@router.get(
    "/v1/analyses/{analysis_id}",
    operation_id="get_analysis",
    summary="How an analysis is getting on",
    response_model=Analysis,
    responses=problem_responses(401, 403, 404, 422, 429),
)
async def get_analysis(analysis_id: AnalysisId, state: State, owner: Owner) -> Response:
    """Return status and progress, and the answer once there is one."""

    def read() -> bytes:
        return analysis_info(state.analysis(owner, analysis_id)).model_dump_json().encode()

    content = await state.glances.of(owner, analysis_id, read)
    return Response(content, media_type="application/json")


@router.get(
    "/v1/analyses/{analysis_id}/segments",
    operation_id="list_segments",
    summary="The answers about segments",
    responses=problem_responses(401, 403, 404, 422, 429),
)
def list_segments(
    analysis_id: AnalysisId,
    state: State,
    owner: Owner,
    start: Annotated[int, Query(ge=0, le=1_000_000, description="Index of the first.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> SegmentPage:
    """Return answers about segments in the order of time, also while the analysis runs."""
    state.analysis(owner, analysis_id)
    found = state.store.results.page(analysis_id, start, limit + 1)
    more = found[limit].index if len(found) > limit else None
    return SegmentPage(items=found[:limit], next=more)


@router.post(
    "/v1/analyses/{analysis_id}/cancel",
    operation_id="cancel_analysis",
    summary="Stop an analysis",
    responses=problem_responses(401, 403, 404, 422, 429),
)
def cancel_analysis(analysis_id: AnalysisId, state: State, owner: Owner) -> Analysis:
    """Stop an analysis and keep what is there; one that is finished stays as it is."""
    found = state.store.freeing(lambda: state.store.analyses.cancel(owner, analysis_id))
    state.glances.forget()
    if found is None:
        raise UserError("unknown_analysis", UNKNOWN)
    return analysis_info(found)


@router.delete(
    "/v1/analyses/{analysis_id}",
    operation_id="erase_analysis",
    summary="Stop and erase an analysis",
    status_code=204,
    responses=problem_responses(401, 403, 404, 422, 429),
)
def erase_analysis(analysis_id: AnalysisId, state: State, owner: Owner) -> None:
    """Stop an analysis and forget it with its results; the video stays."""
    erased = state.store.freeing(lambda: state.store.analyses.erase(owner, analysis_id))
    state.store.database.overwrite_freed()
    state.glances.forget()
    if not erased:
        raise UserError("unknown_analysis", UNKNOWN)

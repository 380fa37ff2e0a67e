"""`/v1/analyses/{id}/events`: progress as it happens, as server-sent events.

Does: send stored events in order, from where the reader left off, and end after the last.
Does not: keep anything of a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from serve.problems import problem_responses
from serve.routes.analyses import AnalysisId
from serve.state import Owner, ServiceState, State, bearer
from serve.store.events import StoredEvent
from serve.store.storage_errors import FAULTS

router = APIRouter(
    tags=["analyses"], dependencies=[Depends(bearer)], responses=problem_responses(503, 507)
)

LOOK_SECONDS = 0.2
SILENCE_SECONDS = 15.0
LAST = ("succeeded", "failed", "cancelled")
COMMENT = b": still here\n\n"


@router.get(
    "/v1/analyses/{analysis_id}/events",
    operation_id="follow_analysis",
    summary="Follow an analysis",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `queued`, `running`, `waiting`, `segment` (data: done, total, "
            "segment), then one of `succeeded`, `failed`, `cancelled`, each with an `id` to resume "
            "from.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problem_responses(401, 403, 404, 422, 429),
    },
)
def follow_analysis(
    analysis_id: AnalysisId,
    state: State,
    owner: Owner,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=2**53, description="The id of the last event that was seen."),
    ] = None,
) -> StreamingResponse:
    """Send what has happened to an analysis and what will, until it is finished or erased."""
    state.analysis(owner, analysis_id)
    return StreamingResponse(
        _events(state, owner, analysis_id, last_event_id or 0),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    state: ServiceState, owner: str, analysis_id: str, after: int
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    yield f"retry: {int(LOOK_SECONDS * 5000)}\n\n".encode()
    while not state.ending.is_set():
        try:
            found, is_last = await run_in_threadpool(_look, state, owner, analysis_id, after)
        except FAULTS:  # the stream goes on when the store answers again
            found, is_last = [], False
        for event in found:
            after, spoken = event.number, loop.time()
            yield _encoded(event)
            if event.kind in LAST:
                return
        if is_last:
            return
        if found:
            continue
        if loop.time() - spoken > SILENCE_SECONDS:
            spoken = loop.time()
            yield COMMENT
        await asyncio.sleep(LOOK_SECONDS)


def _look(
    state: ServiceState, owner: str, analysis_id: str, after: int
) -> tuple[list[StoredEvent], bool]:
    """Return the next events, and whether there can be no others."""
    found = state.store.events.after(analysis_id, after)
    if found:
        return found, False
    analysis = state.store.analyses.get(owner, analysis_id)
    if analysis is not None and not analysis.is_finished:
        return [], False
    # Erased, or its last event was seen: look once more, it may have come in between.
    return state.store.events.after(analysis_id, after), True


def _encoded(event: StoredEvent) -> bytes:
    return f"id: {event.number}\nevent: {event.kind}\ndata: {event.data}\n\n".encode()

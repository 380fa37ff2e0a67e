"""`/metrics`: counts and times for Prometheus."""

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serve.problems import problem_responses
from serve.state import State, bearer
from serve.store.storage_errors import FAULTS

router = APIRouter(tags=["health"], dependencies=[Depends(bearer)])


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Counts and times for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_responses(401, 403, 429),
    },
)
def metrics(state: State) -> Response:
    """Return the text that Prometheus scrapes."""
    counts: dict[str, int] | None = None
    deliveries: dict[str, int] | None = None
    try:
        counts = state.store.analyses.counts()
        deliveries = state.store.webhooks.counts()
    except FAULTS:
        counts = None
    state.meters.count(counts, state.engine.is_ready(), state.store.database.is_ready())
    state.meters.note_sandbox(state.sandbox)
    state.meters.note_webhooks(deliveries)
    return Response(generate_latest(state.meters.registry), media_type=CONTENT_TYPE_LATEST)

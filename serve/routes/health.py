"""`/healthz` and `/readyz`: does the process live, can it answer."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from mllm_affect.errors import EngineError
from serve.problems import problem_responses
from serve.state import State
from serve.store.storage_errors import DatabaseAwayError

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A short word on how the service is."""

    status: str


class Readiness(Health):
    """That it can answer, and what is weaker here than it could be."""

    missing_sandbox_layers: list[str] = Field(
        description="What does not confine the processes that decode videos here; see "
        "docs/security-media.md."
    )


@router.get("/healthz", operation_id="healthz", summary="Is the process alive")
async def healthz() -> Health:
    """Answer as long as the process lives, also while every worker thread is busy."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Can it answer",
    responses=problem_responses(503),
)
def readyz(state: State) -> Readiness:
    """Answer 200 when the model server and the database answer, else 503."""
    if not state.store.database.is_ready():
        raise DatabaseAwayError
    if not state.engine.is_ready():
        raise EngineError("engine_away", "The model server is not ready.")
    return Readiness(status="ready", missing_sandbox_layers=list(state.sandbox.missing))


for _probe in (healthz, readyz):  # load balancers ask with HEAD; the server sends no body then
    router.add_api_route(
        f"/{_probe.__name__}",
        _probe,
        methods=["HEAD"],
        operation_id=_probe.__name__,
        include_in_schema=False,
    )

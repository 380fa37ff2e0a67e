"""`/v1/tasks` and `/v1/models`: what can be asked, and who answers."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from mllm_affect.tasks.prompts import load_task, shipped_task_ids
from serve.problems import problem_responses
from serve.state import State, bearer

router = APIRouter(tags=["tasks"], dependencies=[Depends(bearer)])


class TaskInfo(BaseModel):
    """A task that comes with the service; `trained`: whether the model learned this wording.

    `context`: what it tells the model besides the clip, of `asked`, `segment` and `video`.
    """

    id: str
    version: int
    title: str
    question: str
    answers: list[str]
    context: list[str] = []
    prompt_hash: str
    trained: bool


class ModelInfo(BaseModel):
    """The checkpoint behind the service; `note` is what it says about itself."""

    id: str
    kind: str
    note: str


@router.get(
    "/v1/tasks",
    operation_id="list_tasks",
    summary="Tasks that can be asked",
    responses=problem_responses(401, 403, 429),
)
def list_tasks(state: State) -> list[TaskInfo]:
    """List the tasks with their questions and answers."""
    known = state.profile.prompt_hashes.values()
    return [
        TaskInfo(
            id=task.id,
            version=task.version,
            title=task.title,
            question=task.question,
            answers=list(task.answers),
            context=list(task.context.parts) if task.context else [],
            prompt_hash=task.prompt_hash,
            trained=task.prompt_hash in known,
        )
        for task in map(load_task, shipped_task_ids())
    ]


@router.get(
    "/v1/models",
    operation_id="list_models",
    summary="Models that answer",
    responses=problem_responses(401, 403, 429),
)
def list_models(state: State) -> list[ModelInfo]:
    """List the one model of this service."""
    profile = state.profile
    return [ModelInfo(id=state.engine.model_id, kind=profile.kind, note=profile.note)]

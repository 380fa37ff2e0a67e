"""`/v1/tasks` and `/v1/models`: what can be asked, and who answers.

Does: list shipped tasks, families of them and the model.  Does not: ask.
"""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from mllm_affect.expressions.questions import questions_of
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.prompts import (
    load_family,
    load_task,
    shipped_family_ids,
    shipped_task_ids,
)
from mllm_affect.tasks.task import Task
from serve.problems import problem_responses
from serve.state import State, bearer

router = APIRouter(tags=["tasks"], dependencies=[Depends(bearer)])


class TaskInfo(BaseModel):
    """A task that comes with the service; `trained`: whether the model learned this wording.

    `context`: what it tells the model besides the clip, of `asked`, `segment` and `video`.
    `questions`: of a family of tasks, the questions of which one is sent along, word for word; it
    has no question, answers or prompt hash of its own.
    """

    id: str
    version: int
    title: str
    question: str
    answers: list[str]
    context: list[str] = []
    questions: list[str] = []
    prompt_hash: str | None
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
    """List the tasks with their questions and answers, then the families of tasks."""
    known = frozenset(state.profile.prompt_hashes.values())
    tasks = [_of_task(load_task(name), known) for name in shipped_task_ids()]
    return tasks + [_of_family(load_family(name), known) for name in shipped_family_ids()]


def _of_task(task: Task, known: frozenset[str]) -> TaskInfo:
    return TaskInfo(
        id=task.id,
        version=task.version,
        title=task.title,
        question=task.question,
        answers=list(task.answers),
        context=list(task.context.parts) if task.context else [],
        prompt_hash=task.prompt_hash,
        trained=task.prompt_hash in known,
    )


def _of_family(family: Family, known: frozenset[str]) -> TaskInfo:
    return TaskInfo(
        id=family.id,
        version=family.version,
        title=family.title,
        question="",
        answers=[],
        questions=list(questions_of(family.id)),
        prompt_hash=None,
        trained=all(family.task(kind).prompt_hash in known for kind in family.kinds),
    )


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

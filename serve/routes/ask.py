"""`POST /v1/ask`: one video, one question, one answer.

Does: take the upload apart and call the pipeline.  Does not: keep the video.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, UploadFile

from mllm_affect.errors import EngineError, UserError
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.tasks.prompts import load_task, question_task, shipped_task_ids
from mllm_affect.tasks.task import Task
from serve.problems import problem_responses
from serve.state import State, bearer
from serve.told import context_of_request
from serve.uploads import stored

router = APIRouter(tags=["ask"], dependencies=[Depends(bearer)])


@router.post(
    "/v1/ask",
    operation_id="ask",
    summary="Ask about a video",
    responses=problem_responses(401, 404, 413, 415, 422, 503),
)
def ask(
    state: State,
    video: Annotated[UploadFile, File(description="MP4/MOV, Matroska/WebM or AVI.")],
    task: Annotated[str | None, Form(description="Id of a task, see /v1/tasks.")] = None,
    question: Annotated[str | None, Form(description="A question of your own.")] = None,
    answers: Annotated[
        list[str] | None, Form(description="What the question may be answered with.")
    ] = None,
    transcript: Annotated[
        UploadFile | None,
        File(description="What is said: .vtt, .srt, .json, .yml, or plain text without times."),
    ] = None,
    transcript_text: Annotated[str | None, Form(description="The same as plain text.")] = None,
    asked: Annotated[
        str | None, Form(description="What the person in the video was asked.")
    ] = None,
) -> VideoAnswer:
    """Answer a task, or a question of your own, about each segment and about the video.

    A task that tells the model what was asked and said takes `asked` and `transcript` (or
    `transcript_text`); a line whose part is not given is left out of its prompt.
    With `answers` the result has a probability for each of them; without, the text is free.
    The video is deleted when the answer is sent.
    """
    chosen = chosen_task(task, question, tuple(answers or ()))
    context = context_of_request(chosen, transcript, transcript_text, asked)
    if not state.engine.is_ready():
        raise EngineError("engine_away", "The model server is not ready; try again in a moment.")
    with stored(video, state.settings.max_upload_bytes) as path:
        return answer_video(
            path,
            chosen,
            state.engine,
            state.profile,
            context=context,
            scorings=state.scorings,
            force=state.force,
            limits=state.settings.limits,
        )


def chosen_task(task: str | None, question: str | None, answers: tuple[str, ...]) -> Task:
    """Return the task that a request means.

    Raises UserError `bad_request`, `unknown_task` or `bad_question`.
    """
    if (task is None) == (question is None):
        raise UserError("bad_request", "Give either task or question.")
    if question is not None:
        return question_task(question, answers)
    if answers:
        raise UserError("bad_request", "A task has its own answers; leave answers out.")
    if task not in shipped_task_ids():  # never a path: clients do not name files
        known = ", ".join(shipped_task_ids())
        raise UserError("unknown_task", f"There is no such task; use one of {known}.")
    return load_task(task)

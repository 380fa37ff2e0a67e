"""`POST /v1/ask`: one video, one question, one answer.

Does: answer short videos at once and keep nothing of them; make an analysis of long ones.
Does not: answer otherwise than the pipeline does.
"""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from mllm_affect.client.models import Analysis
from mllm_affect.engine.bounds import BoundedEngine, Bounds
from mllm_affect.errors import EngineError, UserError
from mllm_affect.expressions.answering import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.stopping import Stop
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext
from serve.choosing import chosen_task
from serve.intake import Upload, keep, receive, unnamed
from serve.problems import FieldError, problem_responses
from serve.request_work import Work
from serve.state import Owner, ServiceState, State, bearer
from serve.told import context_of_request
from serve.wire.analyses import analysis_info

router = APIRouter(
    tags=["ask"], dependencies=[Depends(bearer)], responses=problem_responses(503, 507)
)

ASK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {
                        "video": {
                            "type": "string",
                            "format": "binary",
                            "description": "MP4/MOV, Matroska/WebM or AVI.",
                        },
                        "task": {"type": "string", "description": "Id of a task, see /v1/tasks."},
                        "question": {"type": "string", "description": "A question of your own."},
                        "answers": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "What the question may be answered with.",
                        },
                        "transcript": {
                            "type": "string",
                            "format": "binary",
                            "description": "What is said, as a file: .vtt, .srt, .json, .yml, or "
                            "plain text without times.",
                        },
                        "transcript_text": {
                            "type": "string",
                            "description": "The same as plain text.",
                        },
                        "asked": {
                            "type": "string",
                            "description": "What the person in the video was asked.",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "/v1/ask",
    operation_id="ask",
    summary="Ask about a video",
    response_model=VideoAnswer,
    responses={
        202: {"model": Analysis, "description": "A long video: follow the analysis."},
        **problem_responses(401, 403, 404, 413, 415, 422, 429, 503),
    },
    openapi_extra=ASK_BODY,
)
async def ask(request: Request, state: State, owner: Owner) -> Any:
    """Answer a task, or a question of your own, about each segment and about the video.

    A task that tells the model what was asked and said takes `asked` and `transcript` (or
    `transcript_text`); a line whose part is not given is left out of its prompt.
    A family of tasks, `me_vqa` or `me_lvqa`, takes a `question` of the challenge word for word: one
    profile of the clip, or the events of a long video, answer it; they are the segments.
    With `answers` the result has a probability for each of them; without, the text is free.
    The video is deleted when the answer is sent.  A video that is longer than /v1/limits says
    becomes an analysis: 202, with `Location`.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise FieldError("bad_request", "Send a form with the file video.", ("video",))
    with state.store.media.incoming(state.settings.max_upload_bytes) as incoming:
        upload = await receive(request, incoming, state.work, owner)
        task, context = await state.work.parse(_asked, upload)

        def answer(work: Work) -> VideoAnswer | JSONResponse:
            return _answer(state, owner, upload, task, context, work)

        return await state.work.decode(request, owner, answer)


def _asked(upload: Upload) -> tuple[Task, VideoContext]:
    """Return what a form asks, and what it tells besides."""
    task = chosen_task(
        upload.one("task"), upload.one("question"), tuple(upload.fields.get("answers", ()))
    )
    return task, context_of_request(
        task, upload.transcript, upload.one("transcript_text"), upload.one("asked")
    )


def _answer(
    state: ServiceState,
    owner: str,
    upload: Upload,
    task: Task,
    context: VideoContext,
    work: Work,
) -> VideoAnswer | JSONResponse:
    if not state.engine.is_ready():
        raise EngineError("engine_away", "The model server is not ready; try again in a moment.")
    settings = state.settings
    try:
        with unnamed(upload.incoming.path):
            return answer_video(
                upload.incoming.path,
                task,
                BoundedEngine(state.engine, Bounds(work.stop, settings.question_s)),
                state.profile,
                context=context,
                scorings=state.scorings,
                force=state.force,
                limits=replace(settings.limits, seconds=settings.ask_seconds),
                in_flight=settings.in_flight,
                stop=work.stop,
                on_read=work.read,
            )
    except UserError as error:
        if error.code != "video_too_long" or settings.ask_seconds >= settings.max_video_seconds:
            raise
    return _later(state, owner, upload, task, context, work.stop)


def _later(
    state: ServiceState,
    owner: str,
    upload: Upload,
    task: Task,
    context: VideoContext,
    stop: Stop,
) -> JSONResponse:
    if not state.force:
        state.profile.refuse_other_prompt(state.profile.fit(task))
    bound = state.profile.segment_seconds()
    video = keep(state.store, state.settings, owner, upload, bound, stop)
    found = state.store.analyses.ask(
        owner,
        video,
        task,
        state.engine.model_id,
        context=context,
        most_waiting=state.settings.most_waiting,
    )
    state.on_work()
    return JSONResponse(
        analysis_info(found).model_dump(mode="json"),
        202,
        {"Location": f"{state.settings.root_path}/v1/analyses/{found.id}"},
    )

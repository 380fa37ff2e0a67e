"""`/v1/videos`: bring a video, look at it, erase it.

Does: take uploads in (intake) and send what is known.  Does not: analyse.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse

from mllm_affect.client.models import VideoInfo
from mllm_affect.errors import UserError
from serve.intake import keep, receive
from serve.opened_file import OpenedFileResponse
from serve.problems import problem_responses
from serve.request_work import Work
from serve.state import Owner, State, bearer
from serve.store.videos import StoredVideo
from serve.wire.videos import video_info

router = APIRouter(
    tags=["videos"], dependencies=[Depends(bearer)], responses=problem_responses(503, 507)
)

VideoId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of an uploaded video.")]

MEDIA_TYPES = {"mov": "video/mp4", "matroska": "video/webm", "avi": "video/x-msvideo"}

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The video itself (any content type), or a form with the file `video`. "
        "MP4/MOV, Matroska/WebM or AVI.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {"video": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post(
    "/v1/videos",
    operation_id="upload_video",
    summary="Upload a video",
    status_code=201,
    response_model=VideoInfo,
    responses=problem_responses(401, 403, 413, 415, 422, 429),
    openapi_extra=UPLOAD_BODY,
)
async def upload_video(
    request: Request, response: Response, state: State, owner: Owner
) -> VideoInfo:
    """Store a video for analyses; the same bytes give the same id.

    It is kept until it is erased, or for as long as /v1/limits says.
    """
    with state.store.media.incoming(state.settings.max_upload_bytes) as incoming:
        upload = await receive(request, incoming, state.work, owner)

        def kept(work: Work) -> StoredVideo:
            bound = state.profile.segment_seconds()
            return keep(state.store, state.settings, owner, upload, bound, work.stop)

        video = await state.work.decode(request, owner, kept)
    response.headers["Location"] = f"{state.settings.root_path}/v1/videos/{video.id}"
    return video_info(video)


@router.get(
    "/v1/videos/{video_id}",
    operation_id="get_video",
    summary="What is known about a video",
    responses=problem_responses(401, 403, 404, 422, 429),
)
def get_video(video_id: VideoId, state: State, owner: Owner) -> VideoInfo:
    """Return the facts of a video."""
    return video_info(state.video(owner, video_id))


@router.get(
    "/v1/videos/{video_id}/content",
    operation_id="get_video_content",
    summary="The video itself",
    response_class=FileResponse,
    responses={
        200: {"description": "The bytes as uploaded.", "content": {"video/*": {}}},
        206: {"description": "The range that was asked for.", "content": {"video/*": {}}},
        416: {"description": "No such range.", "content": {"text/plain": {}}},
        **problem_responses(401, 403, 404, 422, 429),
    },
)
def get_video_content(video_id: VideoId, state: State, owner: Owner) -> FileResponse:
    """Return the bytes as they were uploaded; ranges are answered, so that players can seek."""
    source = state.video(owner, video_id).source
    kind = MEDIA_TYPES.get(source.container, "application/octet-stream")
    try:
        return OpenedFileResponse(source.path, kind)
    except FileNotFoundError:
        sentence = "There is no such video; it may have been erased."
        raise UserError("unknown_video", sentence) from None


router.add_api_route(
    "/v1/videos/{video_id}/content",
    get_video_content,
    methods=["HEAD"],
    operation_id="get_video_content",
    response_class=FileResponse,
    include_in_schema=False,
)


@router.delete(
    "/v1/videos/{video_id}",
    operation_id="erase_video",
    summary="Erase a video and everything about it",
    status_code=204,
    responses=problem_responses(401, 403, 404, 422, 429),
)
def erase_video(video_id: VideoId, state: State, owner: Owner) -> None:
    """Stop and forget the analyses of a video, then the video."""
    erased = state.store.freeing(lambda: state.store.videos.erase(owner, video_id))
    state.observations.forget(video_id)
    state.store.database.overwrite_freed()
    state.glances.forget()
    if not erased:
        raise UserError("unknown_video", "There is no such video; it may have been erased.")

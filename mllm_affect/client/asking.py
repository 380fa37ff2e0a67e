"""Asking a running service about a video, in one call.

Does: gather what is sent and return the typed answer.  Does not: start a service or read the video.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from mllm_affect.client.service_client import DEFAULT_URL, ServiceClient
from mllm_affect.errors import UserError
from mllm_affect.media.images.folder import video_file
from mllm_affect.media.speech.transcript import Transcript
from mllm_affect.scoring.answers import VideoAnswer


def ask(
    video: str | Path,
    question: str | None = None,
    *,
    task: str | None = None,
    answers: Sequence[str] = (),
    transcript: str | Path | Transcript | None = None,
    asked: str | None = None,
    url: str = DEFAULT_URL,
    api_key: str | None = None,
    image_fps: float | None = None,
) -> VideoAnswer:
    """Ask the service at `url` about a video file: a shipped `task`, or a `question` of your own.

    `answers`: what a question may be answered with; none for free text.  For tasks that tell the
    model so: `transcript` (a file, see media.speech.transcript_files, or read already) is what is
    said, `asked` what the person was asked.  `video` may be a folder of
    images, `image_fps` a second; they are sent as they are, as one video.
    Raises UserError for a video or question that cannot be used, EngineError `service_away` when
    nothing answers at `url`, or with the service's code when its model is away.
    """
    path = Path(video)
    if not path.exists():
        raise UserError("file_not_found", f"No video file at {path}; check the path.")
    if (task is None) == (question is None):
        raise UserError("bad_question", "Give either a task or a question.")
    fields: dict[str, str | list[str] | None] = {"asked": asked}
    fields |= {"task": task} if task is not None else {"question": question, "answers": [*answers]}
    given = {name: value for name, value in fields.items() if value is not None}
    files = {} if transcript is None else {"transcript": transcript_file(transcript)}
    with (
        video_file(path, image_fps) as file,
        file.open("rb") as stream,
        ServiceClient(url, api_key) as service,
    ):
        sent = {"video": ("video", stream, "application/octet-stream"), **files}
        return service.ask(given, sent)


def transcript_file(transcript: str | Path | Transcript) -> tuple[str, bytes]:
    """Return name and content of the file to send; the kind is told by the name's ending."""
    if isinstance(transcript, Transcript):
        if not transcript.chunks:
            return "transcript.txt", transcript.text.encode()
        chunks = [{"text": c.text, "timestamp": [c.start_s, c.end_s]} for c in transcript.chunks]
        return "transcript.json", json.dumps({"chunks": chunks}).encode()
    path = Path(transcript)
    if not path.is_file():
        raise UserError("transcript_not_found", f"No transcript at {path}; check the path.")
    return f"transcript{path.suffix}", path.read_bytes()

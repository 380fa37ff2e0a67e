"""Asking a running service about a video.

Does: send the file, return the typed answer, turn the service's problems into errors.
Does not: start a service or read the video.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import httpx

from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.images.folder import video_file
from mllm_affect.media.speech.transcript import Transcript
from mllm_affect.scoring.answers import VideoAnswer

DEFAULT_URL = "http://127.0.0.1:8000"
ANSWER_SECONDS = 900.0


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
    said, `asked` what the person was asked.
    `answers`: what a question may be answered with; none for free text.  `video` may be a folder of
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
    files = {} if transcript is None else {"transcript": _transcript_file(transcript)}
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with (
            video_file(path, image_fps) as file,
            file.open("rb") as stream,
            httpx.Client(timeout=_timeout()) as http,
        ):
            response = http.post(
                f"{url.rstrip('/')}/v1/ask",
                data={name: value for name, value in fields.items() if value is not None},
                files={"video": ("video", stream, "application/octet-stream"), **files},
                headers=headers,
            )
    except httpx.UnsupportedProtocol as error:
        raise UserError("bad_url", f"{url} is no address; give one like {DEFAULT_URL}.") from error
    except httpx.HTTPError as error:
        raise EngineError(
            "service_away",
            f"No service answers at {url}; start one with `mllm-affect serve`, or give --url.",
        ) from error
    return _answer(response)


def _transcript_file(transcript: str | Path | Transcript) -> tuple[str, bytes]:
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


def _timeout() -> httpx.Timeout:
    return httpx.Timeout(ANSWER_SECONDS, connect=5.0)


def _answer(response: httpx.Response) -> VideoAnswer:
    if response.status_code == httpx.codes.OK:
        return VideoAnswer.model_validate(response.json())
    try:
        problem = response.json()
        code, sentence = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        code, sentence = "bad_service", f"The service answered with status {response.status_code}."
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise EngineError(code, sentence)
    raise UserError(code, sentence)

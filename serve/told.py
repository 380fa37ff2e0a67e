"""What a request tells besides the video: what the person was asked, and what they said.

Does: bound and parse it.  Does not: keep it, or make it plain (tasks.context does, for everybody).
"""

from dataclasses import dataclass
from pathlib import PurePath

from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript_files import parse_transcript
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import VideoContext

MAX_TRANSCRIPT_BYTES = 256 << 10
"""Some ten hours of speech; more than any video that the service takes."""

MAX_ASKED = 1000
"""Characters of what the person was asked."""


@dataclass(frozen=True)
class TranscriptFile:
    """The beginning of a transcript's file as it was sent, `name` its client's own."""

    name: str
    content: bytes


def context_of_request(
    task: Task, transcript: TranscriptFile | None, transcript_text: str | None, asked: str | None
) -> VideoContext:
    """Return what a request tells of a video.

    Raises UserError `context_unused` where the task would not tell the model, `bad_request` for two
    transcripts or too long a question, `transcript_too_large`, `transcript_not_utf8`,
    `bad_transcript`.
    """
    given = [name for name, value in (("transcript", transcript), ("asked", asked)) if value]
    given += ["transcript_text"] if transcript_text is not None else []
    if given and task.context is None:
        raise UserError(
            "context_unused",
            f"This task tells the model nothing of {' and '.join(given)}; leave that out, or ask a "
            "task whose context is stated in /v1/tasks.",
        )
    if transcript is not None and transcript_text is not None:
        raise UserError("bad_request", "Give transcript or transcript_text, not both.")
    if asked is not None and len(asked) > MAX_ASKED:
        raise UserError("bad_request", f"What was asked may have at most {MAX_ASKED} characters.")
    if transcript is not None:
        content, suffix = transcript.content, PurePath(transcript.name).suffix
    elif transcript_text is not None:
        content, suffix = transcript_text.encode(errors="replace"), ""
    else:
        return VideoContext(asked)
    try:
        said = parse_transcript(content, suffix, max_bytes=MAX_TRANSCRIPT_BYTES)
    except UserError as error:
        raise UserError(error.code, f"The transcript cannot be used. {error.sentence}") from error
    return VideoContext(asked, said)

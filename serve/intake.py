"""Taking a video in: bytes as they arrive, then a look inside, then into the store.

Does: stream a raw or multipart body into the media folder under limits, probe and cut it in an
isolated process, keep it.  Does not: hold more than a chunk in memory, or keep anything of an
upload that broke off or is no video.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from mllm_affect.errors import UserError
from mllm_affect.media.header_check import by_segments
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.stopping import Stop
from serve.form import FormReader
from serve.request_work import RequestWork
from serve.settings import ServiceSettings
from serve.store import Store
from serve.store.media_folder import Incoming
from serve.store.videos import StoredVideo
from serve.told import TranscriptFile

NAME = "video"
"""What sentences call an upload, whatever the client called it."""


@dataclass
class Upload:
    """What a request brought: the video's bytes on disk, and the fields beside it."""

    incoming: Incoming
    fields: dict[str, list[str]]
    transcript: TranscriptFile | None = None
    sha256: str = ""

    def one(self, name: str) -> str | None:
        """Return a field given once.  Raises UserError `bad_request` for several values."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise UserError("bad_request", f"Give {name} once.")
        return values[0] if values else None


async def receive(request: Request, incoming: Incoming, work: RequestWork, owner: str) -> Upload:
    """Read a request's body to its end, once it is its owner's turn.

    A multipart body brings the video as its file `video`, and fields beside it; any other body is
    the video itself.  Raises UserError `bad_request` or `file_too_large`, and as FairQueue.take.
    """
    async with work.uploads.taken(owner):
        return await _received(request, incoming, work)


async def _received(request: Request, incoming: Incoming, work: RequestWork) -> Upload:
    upload = Upload(incoming, {})
    form = FormReader.of(request.headers.get("content-type", ""), incoming.write)
    async for chunk in request.stream():
        if not chunk:
            continue
        await work.write(form.feed if form else incoming.write, chunk)
    if form is not None:
        upload.fields, upload.transcript = form.finish(), form.transcript
    if not incoming.size:
        raise UserError("empty_file", "video is empty; send its bytes.")
    upload.sha256 = await work.write(incoming.finish)
    return upload


def keep(
    store: Store,
    settings: ServiceSettings,
    owner: str,
    upload: Upload,
    max_seconds: float,
    stop: Stop,
) -> StoredVideo:
    """Probe an upload and keep it; `max_seconds`: longest segment, in seconds.

    Raises UserError as probing and cutting do, StoppedError once told to stop.
    """
    known = store.videos.uploaded_again(owner, upload.sha256)
    if known is not None:
        return known
    path = upload.incoming.path
    with unnamed(path), IsolatedVideo(path, settings.limits, stop=stop) as video:
        segments = video.segment(max_seconds)
        source = by_segments(video.source, segments)
    return store.videos.keep(owner, upload.incoming, source, len(segments))


@contextmanager
def unnamed(path: Path) -> Iterator[None]:
    """Let sentences about an upload not tell under which name it lies here."""
    try:
        yield
    except UserError as error:
        raise UserError(error.code, error.sentence.replace(path.name, NAME)) from None

"""A video as clients see it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.media.types import Source
from serve.store.videos import StoredVideo
from serve.wire.times import time_of


class VideoInfo(BaseModel):
    """An uploaded video; the same bytes always have the same id."""

    model_config = ConfigDict(extra="forbid")

    id: str
    sha256: str
    size_bytes: int
    container: str
    duration_s: float = Field(description="As the container states it, 0 where it does not.")
    fps: float = Field(description="Average frame rate.")
    width: int
    height: int
    has_audio: bool
    segments: int = Field(description="Number of segments of at most 5 s.")
    created_at: datetime


def video_info(video: StoredVideo) -> VideoInfo:
    """Return what is sent about a stored video."""
    source: Source = video.source
    return VideoInfo(
        id=video.id,
        sha256=source.sha256,
        size_bytes=source.size_bytes,
        container=source.container,
        duration_s=source.duration_s,
        fps=source.average_fps,
        width=source.width,
        height=source.height,
        has_audio=source.has_audio,
        segments=video.segments,
        created_at=time_of(video.created_s),
    )

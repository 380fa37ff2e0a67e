"""A video as it is sent."""

from mllm_affect.client.models import VideoInfo
from mllm_affect.media.types import Source
from mllm_affect.scoring.abstention import media_remarks
from serve.store.videos import StoredVideo
from serve.wire.times import time_of


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
        video_stream=source.video_stream,
        audio_stream=source.audio_stream,
        segments=video.segments,
        warnings=list(media_remarks(source.warnings)),
        created_at=time_of(video.created_s),
    )

"""Writing segments as video files of their own, for whoever needs files.

Does: re-encode each segment to MP4 through ffmpeg, check that it holds exactly its frames.
Does not: stream-copy (cuts fall on key frames and keep neighbours' frames) or touch the source.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import ffmpeg

from mllm_affect.errors import UserError
from mllm_affect.files import replacing
from mllm_affect.media.ffmpeg import ffmpeg_path
from mllm_affect.media.frames import FrameClock
from mllm_affect.media.opening import main_video, open_media, sniff
from mllm_affect.media.types import Segment, Source

EVEN_SIZE = {"width": "ceil(iw/2)*2", "height": "ceil(ih/2)*2"}
"""H.264 with 4:2:0 colour wants even sides."""


def write_clips(
    source: Source,
    segments: Sequence[Segment],
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `clip-0000.mp4` … into `out_dir`, one a segment, H.264 with AAC where there is sound.

    `progress` is called with how many clips are written and how many there are.
    Raises UserError `clip_failed` when ffmpeg fails or a clip does not hold exactly its segment's
    frames; no such file is kept.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for done, segment in enumerate(segments, start=1):
        path = out_dir / f"clip-{segment.index:04d}.mp4"
        with replacing(path) as temporary:
            _encode(source, segment, temporary)
            _check(segment, temporary, source)
        paths.append(path)
        if progress is not None:
            progress(done, len(segments))
    return paths


def _encode(source: Source, segment: Segment, path: Path) -> None:
    # ffmpeg counts its seeks from the container's start.
    # One microsecond early: ffmpeg rounds to microseconds and drops what is earlier than the seek.
    seek_s = max(0.0, math.floor((segment.start_s - source.container_start_s) * 1e6 - 1) / 1e6)
    stream = ffmpeg.input(
        str(source.path), f=sniff(source.path), ss=f"{seek_s:.6f}", protocol_whitelist="file"
    )
    # Counted in the filter: the option -frames would end the sound with the last frame's start.
    counted = stream.video.filter("trim", end_frame=segment.num_frames)
    tracks = [counted.filter("pad", **EVEN_SIZE)]
    if segment.has_audio:
        tracks.append(stream.audio)
    command = ffmpeg.output(
        *tracks,
        str(path),
        t=f"{segment.duration_s:.6f}",
        map_metadata=-1,
        vcodec="libx264",
        pix_fmt="yuv420p",
        crf=16,
        fps_mode="passthrough",
        acodec="aac",
    )
    try:
        command.run(
            cmd=str(ffmpeg_path()),
            overwrite_output=True,
            capture_stdout=True,
            capture_stderr=True,
        )
    except ffmpeg.Error as error:
        raise _failed(source, segment, "ffmpeg could not encode it") from error


def _check(segment: Segment, path: Path, source: Source) -> None:
    with open_media(path) as container:
        stream = main_video(container)
        if stream is None:
            raise _failed(source, segment, "it came out without video")
        clock = FrameClock(stream)
        count = sum(1 for packet in container.demux(stream) for _ in clock.decode(packet))
    if count != segment.num_frames:
        raise _failed(source, segment, f"it came out with {count} frames")


def _failed(source: Source, segment: Segment, reason: str) -> UserError:
    return UserError(
        "clip_failed",
        f"Segment {segment.index} of {source.path.name} ({segment.num_frames} frames) was not "
        f"written: {reason}; the source may be damaged there.",
    )

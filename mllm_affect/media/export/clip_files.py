"""Writing segments as video files of their own, for whoever needs files.

Does: re-encode each segment to MP4 through ffmpeg, check that it holds exactly its frames.
Does not: stream-copy (cuts fall on key frames and keep neighbours' frames) or touch the source.
"""

import math
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import ffmpeg

from mllm_affect.errors import UserError
from mllm_affect.files import replacing
from mllm_affect.media.decoding.opening import open_file, sniff
from mllm_affect.media.display import ffmpeg_filters
from mllm_affect.media.export.ffmpeg import ffmpeg_path
from mllm_affect.media.isolation.confined_program import run_confined
from mllm_affect.media.limits import DECODERS, FORMATS
from mllm_affect.media.types import Segment, Source
from mllm_affect.media.video import open_video

PATIENCE_SECONDS = 600.0
"""The longest that encoding one segment may take."""


def write_clips(
    source: Source,
    segments: Sequence[Segment],
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    trusted: bool = False,
) -> list[Path]:
    """Write `clip-0000.mp4` … into `out_dir`, one a segment, H.264 with AAC where there is sound.

    ffmpeg gets the two open files and cannot reach anything else (see isolation); what it
    wrote is read in a process of its own unless the source is `trusted`.
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
            _check(segment, temporary, source, trusted)
        paths.append(path)
        if progress is not None:
            progress(done, len(segments))
    return paths


def _encode(source: Source, segment: Segment, path: Path) -> None:
    # ffmpeg counts times from the container's start.
    # One microsecond early: ffmpeg rounds to microseconds and drops what is earlier than the seek.
    begin_s = max(0.0, math.floor((segment.start_s - source.container_start_s) * 1e6 - 1) / 1e6)
    sought = _can_seek(source)
    first = 0 if sought else segment.first_frame
    read, written = open_file(source.path), os.open(path, os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC)
    try:
        stream = ffmpeg.input(
            "fd:",
            fd=read,
            f=sniff(source.path),
            **({"ss": f"{begin_s:.6f}"} if sought else {}),
            noautorotate=None,
            reinit_filter=0,
            protocol_whitelist="fd",
            format_whitelist=",".join(FORMATS),
            codec_whitelist=",".join(sorted(DECODERS)),
        )
        # Counted in the filter: the option -frames would end the sound with the last frame's start.
        counted = {"start_frame": first, "end_frame": first + segment.num_frames}
        shown = stream[str(source.video_stream)].filter("trim", **counted)
        heard = stream[str(source.audio_stream)] if segment.has_audio else None
        if not sought:
            shown = shown.filter("setpts", "PTS-STARTPTS")
            if heard is not None:
                from_s = f"{begin_s:.6f}"
                heard = heard.filter("atrim", start=from_s).filter("asetpts", f"PTS-{from_s}/TB")
        for name, options in ffmpeg_filters(source):
            shown = shown.filter(name, **options)
        command = ffmpeg.output(
            *([shown] if heard is None else [shown, heard]),
            "fd:",
            fd=written,
            f="mp4",
            t=f"{segment.duration_s:.6f}",
            map_metadata=-1,
            vcodec="libx264",
            pix_fmt="yuv420p",
            crf=16,
            fps_mode="passthrough",
            acodec="aac",
        )
        words = [str(ffmpeg_path()), "-nostdin", *command.get_args(overwrite_output=True)]
        if not _run(words, read, written):
            raise _failed(source, segment, "ffmpeg could not encode it")
    finally:
        os.close(read)
        os.close(written)


def _run(words: Sequence[str], read: int, written: int) -> bool:
    """Run ffmpeg, once more where it was killed, as for memory; return whether it worked."""
    for _ in range(2):
        for descriptor in (read, written):
            os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(written, 0)
        status = run_confined(words, [read, written], PATIENCE_SECONDS)
        if status != -signal.SIGKILL:
            break
    return status == 0


def _can_seek(source: Source) -> bool:
    """Whether ffmpeg finds the beginning of a segment without decoding all before it.

    In Matroska it seeks to a key frame of the first video stream, which says nothing of another.
    """
    return source.container != "matroska" or source.video_streams == 1


def _check(segment: Segment, path: Path, source: Source, trusted: bool) -> None:
    try:
        with open_video(path, trusted=trusted) as video:
            count = sum(part.num_frames for part in video.segment())
    except UserError as error:
        raise _failed(source, segment, "it came out unreadable") from error
    if count != segment.num_frames:
        raise _failed(source, segment, f"it came out with {count} frames")


def _failed(source: Source, segment: Segment, reason: str) -> UserError:
    return UserError(
        "clip_failed",
        f"Segment {segment.index} of {source.path.name} ({segment.num_frames} frames) was not "
        f"written: {reason}; the source may be damaged there.",
    )

"""Writing segments as video files of their own, for whoever needs files.

Does: re-encode each segment to MP4 through ffmpeg, check that it holds exactly its frames.
Does not: stream-copy (cuts fall on key frames and keep neighbours' frames) or touch the source.
"""

import math
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from mllm_affect.errors import UserError
from mllm_affect.files import replacing
from mllm_affect.media.decoding.clock_restarts import NO_SHIFTS, TimestampShifts
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
    A picture that stands still is repeated at the source's rate.
    `progress` is called with how many clips are written and how many there are.
    Raises UserError `clip_failed` when ffmpeg fails or a clip does not hold exactly its segment's
    frames; no such file is kept.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    moves = _moves(source, segments, trusted)
    paths: list[Path] = []
    shown_from_s: float | None = None
    for done, segment in enumerate(segments, start=1):
        if not segment.stands_still:
            shown_from_s = segment.start_s
        path = out_dir / f"clip-{segment.index:04d}.mp4"
        with replacing(path) as temporary:
            _encode(source, segment, temporary, shown_from_s, moves)
            _check(segment, temporary, source, trusted)
        paths.append(path)
        if progress is not None:
            progress(done, len(segments))
    return paths


def _moves(source: Source, segments: Sequence[Segment], trusted: bool) -> TimestampShifts:
    """Return how packets are moved where the source counts time anew; it is looked at only then."""
    if all(one.code != "clock_restarts" for segment in segments for one in segment.warnings):
        return NO_SHIFTS
    with open_video(source, trusted=trusted) as video:
        return video.moves()


def _encode(
    source: Source, segment: Segment, path: Path, shown_from_s: float | None, moves: TimestampShifts
) -> None:
    """Write one clip; `shown_from_s` is where the picture that stands still comes on show."""
    descriptors = [os.open(path, os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC)]
    try:
        sought = _can_seek(source) and not moves.times and shown_from_s is not None
        read = _Reading(source, moves, sought, descriptors)
        shown = _pictures(read, segment, segment.start_s if shown_from_s is None else shown_from_s)
        for name, options in ffmpeg_filters(source):
            shown = shown.filter(name, **options)
        command = ffmpeg.output(
            *([shown, _sound(read, segment)] if segment.has_audio else [shown]),
            "fd:",
            fd=descriptors[0],
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
        written, *read_from = descriptors
        if not _run(words, written, read_from):
            raise _failed(source, segment, "ffmpeg could not encode it")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class _Reading:
    """The source as ffmpeg is to read it; each place in it is a descriptor of its own."""

    def __init__(
        self, source: Source, moves: TimestampShifts, sought: bool, descriptors: list[int]
    ) -> None:
        self.source, self.sought = source, sought
        self._moves, self._descriptors = moves, descriptors
        self._inputs: dict[float, Any] = {}

    def at(self, start_s: float) -> tuple[Any, float]:
        """Return an input and where in it a time lies: at its beginning, where it was sought."""
        # ffmpeg counts times from the container's start.  One microsecond early: it rounds to
        # microseconds and drops what is earlier than the seek.
        begin_s = max(0.0, math.floor((start_s - self.source.container_start_s) * 1e6 - 1) / 1e6)
        seek_s = begin_s if self.sought else 0.0
        if seek_s not in self._inputs:
            self._inputs[seek_s] = self._opened(seek_s)
        return self._inputs[seek_s], begin_s - seek_s

    def _opened(self, seek_s: float) -> Any:
        read = open_file(self.source.path)
        self._descriptors.append(read)
        return ffmpeg.input(
            "fd:",
            fd=read,
            f=sniff(self.source.path),
            **({"ss": f"{seek_s:.6f}"} if seek_s else {}),
            **self._moved(),
            noautorotate=None,
            reinit_filter=0,
            protocol_whitelist="fd",
            format_whitelist=",".join(FORMATS),
            codec_whitelist=",".join(sorted(DECODERS)),
        )

    def _moved(self) -> dict[str, str]:
        """Return the options that move packets, by stream."""
        options = {}
        for stream, moves in self._moves.by_stream:
            by = "0"
            for packet, ticks in moves:
                by = f"if(gte(N\\,{packet})\\,{ticks}\\,{by})"
            options[f"bsf:{stream}"] = f"setts=pts=PTS+{by}:dts=DTS+{by}"
        return options


def _pictures(read: _Reading, segment: Segment, shown_from_s: float) -> Any:
    """Return a segment's frames; one that stands still is repeated."""
    count = max(1, segment.num_frames)
    opened, begin_s = read.at(shown_from_s)
    first = 0 if read.sought else segment.shown_frame
    # Counted in the filter: the option -frames would end the sound with the last frame's start.
    shown = opened[str(read.source.video_stream)].filter(
        "trim", start_frame=first, end_frame=first + count
    )
    if segment.stands_still:
        repeated, rate = _repeated(read.source, segment)
        shown = shown.filter("loop", loop=repeated - 1, size=1, start=0)
        return shown.filter("setpts", f"N/{rate}/TB")
    if begin_s:
        shown = shown.filter("setpts", f"PTS-{begin_s:.6f}/TB")
    # Where the sound begins before it, the first picture is shown from there on.
    return shown if segment.first_frame else shown.filter("setpts", "if(eq(N,0),0,PTS)")


def _sound(read: _Reading, segment: Segment) -> Any:
    opened, begin_s = read.at(segment.start_s)
    heard = opened[str(read.source.audio_stream)]
    if not begin_s:
        return heard
    return heard.filter("atrim", start=f"{begin_s:.6f}").filter("asetpts", f"PTS-{begin_s:.6f}/TB")


def _repeated(source: Source, segment: Segment) -> tuple[int, int]:
    """Return how often a frame that stands still is written, and how many times a second."""
    rate = round(min(60.0, max(1.0, source.average_fps or 25.0)))
    return max(1, round(segment.duration_s * rate)), rate


def _run(words: Sequence[str], written: int, read: Sequence[int]) -> bool:
    """Run ffmpeg, once more where it was killed, as for memory; return whether it worked."""
    descriptors = [read[0], written, *read[1:]]
    for _ in range(2):
        for descriptor in descriptors:
            os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(written, 0)
        status = run_confined(words, descriptors, PATIENCE_SECONDS)
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
    expected = _repeated(source, segment)[0] if segment.stands_still else segment.num_frames
    if count != expected:
        raise _failed(source, segment, f"it came out with {count} frames")


def _failed(source: Source, segment: Segment, reason: str) -> UserError:
    return UserError(
        "clip_failed",
        f"Segment {segment.index} of {source.path.name} ({segment.num_frames} frames) was not "
        f"written: {reason}; the source may be damaged there.",
    )

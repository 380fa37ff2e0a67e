"""`mllm-affect segment`: cut a video blindly.

Does: print the segments, write segments.jsonl and clip files on request.  Does not: cut itself.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mllm_affect.cli.common import ImageFps, Json, Trusted, err, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from mllm_affect.media.types import Segment, Source


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("segment")(verb(segment_video))


def segment_video(
    video: Annotated[
        Path, typer.Argument(help="A video (MP4/MOV, Matroska/WebM, AVI), or a folder of images.")
    ],
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="Upper bound of a segment, in seconds.")
    ] = 5.0,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Write segments.jsonl into this folder.")
    ] = None,
    clips: Annotated[
        bool, typer.Option("--clips", help="Also write each segment as an MP4 into --out.")
    ] = False,
    faces: Annotated[
        bool, typer.Option("--faces", help="Also write faces.jsonl and a picture, faces.png.")
    ] = False,
    speech: Annotated[
        bool, typer.Option("--speech", help="Also write speech.jsonl: speech and pauses.")
    ] = False,
    transcript: Annotated[
        Path | None,
        typer.Option(
            "--transcript", help="Text, .vtt, .srt, .json or .yml: also write said.jsonl."
        ),
    ] = None,
    image_fps: ImageFps = None,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Cut a video into segments of at most five seconds, every frame exactly once.

    Example: mllm-affect segment interview.mp4 --out segments --clips --faces --speech
    """
    from mllm_affect.media.images.folder import video_file
    from mllm_affect.media.video import following_links, open_video
    from mllm_affect.media.warnings import joined

    asked = {"--clips": clips, "--faces": faces, "--speech": speech, "--transcript": transcript}
    unplaced = next((option for option, given in asked.items() if given), None)
    if unplaced and out_dir is None:
        raise UserError("out_missing", f"{unplaced} needs a folder to write into; give --out DIR.")
    if out_dir is not None and out_dir.exists() and not out_dir.is_dir():
        raise UserError("out_not_a_folder", f"--out {out_dir} is a file; give a folder.")
    with video_file(following_links(video), image_fps, links=trusted) as file:
        with open_video(file, trusted=trusted) as opened:
            source, segments = opened.source, opened.segment(max_seconds)
        if out_dir is not None:
            if clips:
                _write_clips(source, segments, out_dir, trusted, show=not json)
            _write_lists(
                source, segments, out_dir, faces, speech, transcript, trusted, show=not json
            )
    warnings = joined(source.warnings, *(part.warnings for part in segments))
    if json:
        print_json(
            {
                "source": source.path.name,
                "video_stream": source.video_stream,
                "audio_stream": source.audio_stream,
                "segments": [asdict(s) for s in segments],
                "warnings": [asdict(one) for one in warnings],
            }
        )
        return
    table = Table(title=f"{source.path.name}: {source.width}x{source.height}, {source.video_codec}")
    for heading in ("segment", "start s", "end s", "frames", "audio"):
        table.add_column(heading, justify="right")
    for part in segments:
        table.add_row(
            str(part.index),
            f"{part.start_s:.3f}",
            f"{part.end_s:.3f}",
            str(part.num_frames),
            "yes" if part.has_audio else "no",
        )
    out.print(table)
    for warning in warnings:
        err.print(f"note: {warning.sentence}", highlight=False, markup=False)


def _write_clips(
    source: "Source", segments: "Sequence[Segment]", out_dir: Path, trusted: bool, *, show: bool
) -> None:
    from mllm_affect.cli.progress import progress
    from mllm_affect.media.export.clip_files import write_clips

    with progress("Writing clips", show=show) as advance:
        write_clips(source, segments, out_dir, advance, trusted=trusted)


def _write_lists(
    source: "Source",
    segments: "Sequence[Segment]",
    out_dir: Path,
    faces: bool,
    speech: bool,
    transcript: Path | None,
    trusted: bool,
    *,
    show: bool,
) -> None:
    from mllm_affect.cli.segment_people import write_people
    from mllm_affect.media.export.segments_file import write_segments

    write_people(source, segments, out_dir, faces, speech, transcript, trusted=trusted, show=show)
    write_segments(out_dir, segments)

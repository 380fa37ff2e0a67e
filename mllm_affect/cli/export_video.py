"""`export video`: answers about one video for tables, players and annotation programs.

Does: read answers, write files.  Does not: ask (see ask) or word formats (mllm_affect.exports).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from mllm_affect.exports.analysis import Analysis
    from mllm_affect.media.observed import Observed


@verb
def video(
    answers: Annotated[
        list[Path],
        typer.Argument(help="What `ask --json` printed or `--out` wrote; one file a task."),
    ],
    out_file: Annotated[
        list[Path],
        typer.Option("--out", help="A .json, .csv, .parquet, .vtt or .eaf to write; repeatable."),
    ],
    name: Annotated[
        str | None,
        typer.Option("--video", help="The video's file name, for players that look for it."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--look", help="The video file: also find speech, pauses and the face in it."),
    ] = None,
    json: Json = False,
) -> None:
    """Write the answers about one video as a table, captions, ELAN tiers or JSON.

    Example: mllm-affect export video ah.json --look interview.mp4 --out ah.eaf --out ah.csv
    """
    from mllm_affect.exports.analysis import Analysis
    from mllm_affect.exports.formats import format_of, write_export
    from mllm_affect.exports.json_file import read_export

    forms = [format_of(path) for path in out_file]
    read = [read_export(path) for path in answers]
    analysis = Analysis(
        name or (source.name if source else read[0].video),
        tuple(answer for each in read for answer in each.answers),
        read[0].events,
        read[0].observed if source is None else _looked(source, read[0], show=not json),
    )
    for path in out_file:
        write_export(analysis, path)
    told = {"video": analysis.video, "tasks": [answer.task for answer in analysis.answers]}
    if json:
        print_json(
            {**told, "out": {form: str(path) for form, path in zip(forms, out_file, strict=True)}}
        )
        return
    for path in out_file:
        out.print(f"{path}: {', '.join(told['tasks'])}", highlight=False, markup=False)


def _looked(source: Path, answered: "Analysis", *, show: bool) -> "tuple[Observed, ...]":
    """Return what the video shows.  Raises UserError `different_videos` for another video."""
    from mllm_affect.cli.progress import progress
    from mllm_affect.media.observing import observe_video
    from mllm_affect.media.video import following_links, open_video

    told = answered.answers[0]
    with open_video(following_links(source)) as opened:
        if opened.source.sha256 != told.source_sha256:
            raise UserError("different_videos", f"{source} is not the video of these answers.")
        probed = opened.source
    found: list[Observed] = []
    with progress("Looking and listening", show=show) as advance:
        for one in observe_video(probed, max_seconds=told.max_seconds):
            found.append(one)
            advance(len(found), len(told.segments))
    return tuple(found)

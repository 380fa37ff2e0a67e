"""`mllm-affect ask`: one question about one video, answered by a running service.

Does: send and print.  Does not: start a service.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mllm_affect.cli.common import ImageFps, Json, err, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from mllm_affect.scoring.answers import VideoAnswer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("ask")(ask)


@verb
def ask(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of images.")],
    question: Annotated[str | None, typer.Argument(help="A question of your own.")] = None,
    task: Annotated[str | None, typer.Option(help="A task of the service instead.")] = None,
    answer: Annotated[
        list[str] | None, typer.Option(help="An allowed answer to the question; repeatable.")
    ] = None,
    transcript: Annotated[
        Path | None, typer.Option(help="What is said (.vtt, .srt, .json, .yml, text), for a task.")
    ] = None,
    asked: Annotated[
        str | None, typer.Option(help="What the person was asked, for a task that tells it.")
    ] = None,
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8000",
    api_key_file: Annotated[Path | None, typer.Option(help="File with the API key.")] = None,
    out_file: Annotated[
        list[Path] | None,
        typer.Option("--out", help="Also write .json, .csv, .parquet, .vtt or .eaf; repeatable."),
    ] = None,
    image_fps: ImageFps = None,
    json: Json = False,
) -> None:
    """Ask about a video; print the answer with probabilities, and each segment's.

    Example: mllm-affect ask interview.mp4 "Does she smile?" --answer yes --answer no
    --out smiles.csv --out smiles.eaf
    """
    from mllm_affect.client import ask as ask_service
    from mllm_affect.exports.analysis import Analysis
    from mllm_affect.exports.formats import format_of, write_export

    for path in out_file or ():
        format_of(path)
    key = read_key(api_key_file) if api_key_file else None
    found = ask_service(
        video, question, task=task, answers=tuple(answer or ()),
        transcript=transcript, asked=asked, url=url, api_key=key, image_fps=image_fps,
    )  # fmt: skip
    for path in out_file or ():
        write_export(Analysis(video.name, (found,)), path)
    if json:
        print_json(found.as_dict())
    else:
        _print_answer(found)


def read_key(path: Path) -> str:
    """Return the API key that a file holds.  Raises UserError `bad_api_key`."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("bad_api_key", f"No readable API key in {path}; check the path.") from error


def _print_answer(found: "VideoAnswer") -> None:
    out.print(found.question, style="bold", highlight=False, markup=False)
    if found.answer is not None:
        chances = ", ".join(f"{a} {p:.3f}" for a, p in found.probabilities.items())
        out.print(f"{found.answer}   {chances}".rstrip(), highlight=False, markup=False)
    names = list(found.probabilities)
    table = Table("start s", "end s", "answer", *names, "sound", box=SIMPLE_HEAD)
    for part in found.segments:
        table.add_row(
            f"{part.start_s:.3f}",
            f"{part.end_s:.3f}",
            part.answer,
            *(f"{part.probabilities[name]:.3f}" for name in names),
            "yes" if part.has_audio else "no",
        )
    out.print(table)
    for remark in found.warnings:
        err.print(f"note: {remark.sentence}", highlight=False, markup=False)

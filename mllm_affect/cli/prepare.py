"""`mllm-affect prepare`: decode a corpus once, for training and evaluation.

Does: read options, draw the bar, print verdicts.  Does not: prepare (see data.preparing).
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mllm_affect.cli.common import ImageFps, Json, Trusted, out, print_json, verb
from mllm_affect.cores import usable_cores
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from mllm_affect.data.preparing import Prepared, Verdict
    from mllm_affect.media.types import Sampling
    from mllm_affect.model.profile import ModelProfile

SHOWN = 40
"""Of more files than this, only the refused ones are printed."""

GIB = 1 << 30


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("prepare", no_args_is_help=True)(prepare)


@verb
def prepare(
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|LIST",
            help="A folder of videos, a list of paths (one a line), or a labelled set.",
        ),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for the clips; give it to others as --cache.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", help="Frame rate and size of this task.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Frames as this checkpoint (or `miniature`) is fed."),
    ] = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Frames a second.")] = None,
    max_pixels: Annotated[
        int | None, typer.Option("--max-pixels", help="Most pixels of a frame.")
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            "--max-seconds",
            help="Upper bound of a segment, in seconds; if not given, that of --model, else 5.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; one a core if not given.")
    ] = None,
    max_gib: Annotated[
        float | None, typer.Option("--max-gib", min=0, help="Bound on the folder's size.")
    ] = None,
    image_fps: ImageFps = None,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Decode every video of a corpus once; a stopped run goes on where it ended.

    Example: mllm-affect prepare videos --task ah --model runs/tuned/merged --out prepared

    A checkpoint that does not say how it is fed is fed as the task says. Then `finetune run --cache
    prepared` and `evaluate --cache prepared` decode nothing. The exit status is 1 when some file
    was refused; verdicts.jsonl lists every file.
    """
    from mllm_affect.cli.progress import progress
    from mllm_affect.data.corpus import find_videos
    from mllm_affect.data.preparing import Policy, Verdict
    from mllm_affect.data.preparing import prepare as run

    profile = _profile(model)
    policy = Policy(
        _sampling(profile, task, model, fps, max_pixels),
        profile.segment_seconds(max_seconds),
        image_fps,
    )
    policy.check()
    if out_dir.exists() and (not out_dir.is_dir() or out_dir.resolve() == corpus.resolve()):
        raise UserError("bad_out", f"--out {out_dir} is a file or the corpus; name a folder.")
    videos = find_videos(corpus, out_dir, images=image_fps is not None)
    with progress(f"preparing {corpus.name}", show=not json) as advance:
        advance(0, len(videos.videos))

        def tell(verdict: Verdict, done: int, total: int) -> None:
            if json:
                print_json({"verdict": asdict(verdict), "done": done, "total": total})
            advance(done, total)

        bound = None if max_gib is None else round(max_gib * GIB)
        done = run(videos, out_dir, policy, workers or usable_cores(), bound, trusted, tell)
    if json:
        print_json({"out": str(out_dir), **done.counts()})
    else:
        _print(done, out_dir)
    if done.refused:
        raise typer.Exit(1)


def _profile(model: str | None) -> "ModelProfile":
    from finetune.base import read_base
    from mllm_affect.model.profile import ModelProfile

    return ModelProfile() if model is None else read_base(model).profile


def _sampling(
    profile: "ModelProfile",
    task: str | None,
    model: str | None,
    fps: float | None,
    max_pixels: int | None,
) -> "Sampling":
    from mllm_affect.media.types import Sampling
    from mllm_affect.tasks.prompts import load_task

    if task is not None or model is not None:
        if fps is not None or max_pixels is not None:
            raise UserError(
                "bad_options",
                "--task and --model say how frames are sampled; leave out --fps and --max-pixels.",
            )
        if task is not None:
            return profile.fit(load_task(task)).sampling
        if profile.sampling is None:
            raise UserError("bad_options", f"{model} says not how it is fed; give --task as well.")
        return profile.sampling
    usual = Sampling()
    return Sampling(fps or usual.fps, max_pixels or usual.max_pixels)


def _print(done: "Prepared", out_dir: Path) -> None:
    shown = done.verdicts if len(done.verdicts) <= SHOWN else done.refused
    table = Table("file", "verdict", "segments", "seconds", "")
    for verdict in shown[:SHOWN]:
        table.add_row(*_row(verdict))
    if shown:
        out.print(table)
    if len(shown) > SHOWN:
        out.print(f"… and {len(shown) - SHOWN} more refused files")
    counts = done.counts()
    out.print(
        f"{counts['usable']} of {counts['videos']} videos are usable ({counts['cached']} were "
        f"prepared before, {counts['same_content']} have the content of another), "
        f"{counts['segments']} segments, {counts['cache_bytes'] / GIB:.2f} GiB in {out_dir}",
        highlight=False,
    )
    for code, count in counts["refused_by_code"].items():
        out.print(f"refused, {code}: {count}", highlight=False)
    for code, count in counts["warnings_by_code"].items():
        out.print(f"read with a warning, {code}: {count}", highlight=False)
    for reason, count in counts["left_out"].items():
        out.print(f"left out, {reason}: {count}", highlight=False)


def _row(verdict: "Verdict") -> tuple[str, str, str, str, str]:
    from rich.markup import escape

    said = "ok" if verdict.ok else f"[red]{verdict.code}[/] {escape(verdict.sentence or '')}"
    note = f"as {verdict.same_as}" if verdict.same_as else "cached" if verdict.cached else ""
    spent = f"{verdict.seconds:.1f}" if verdict.seconds else ""
    return escape(verdict.video), said, str(verdict.segments or ""), spent, escape(note)

"""The `miniature` verb: build the tiny Qwen3-Omni, check one, or say where the shipped one is.

Does: read options, draw progress, print results.  Does not: train (see model.miniature).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.cli.progress import Advance, progress

group = typer.Typer(
    no_args_is_help=True,
    help="Build or check the miniature: the true Qwen3-Omni architecture at toy sizes, trained "
    "on made clips. It shows that the chain works and knows nothing of real people.",
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.add_typer(group, name="miniature")


@group.command("build", epilog="Example: mllm-affect miniature build --out runs/miniature --seed 1")
@verb
def build(
    *,
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Of weights, clips and their order.")] = 0,
    train_clips: Annotated[
        int | None, typer.Option(min=1, help="Clips to learn from, a multiple of four.")
    ] = None,
    held_out_clips: Annotated[
        int | None, typer.Option(min=1, help="Clips to measure on, a multiple of four.")
    ] = None,
    warm_steps: Annotated[int | None, typer.Option(min=0, help="Steps of warming up.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of training.")] = None,
    json: Json = False,
) -> None:
    """Make clips, train from random weights, measure on new faces and voices, write a checkpoint.

    About five minutes on two cores; steps and seeds are fixed, so the same machine gives the same
    weights.
    """
    from dataclasses import replace

    from mllm_affect.model.miniature.build import BuildPlan
    from mllm_affect.model.miniature.build import build as build_into

    plan = BuildPlan(seed=seed)
    plan = replace(
        plan,
        train_clips=train_clips or plan.train_clips,
        held_out_clips=held_out_clips or plan.held_out_clips,
        schedule=replace(
            plan.schedule,
            warm_steps=plan.schedule.warm_steps if warm_steps is None else warm_steps,
            steps=steps or plan.schedule.steps,
        ),
    )
    with _stages(show=not json) as advance:
        manifest = build_into(out_folder, plan, advance)
    if json:
        print_json({"folder": str(out_folder), **manifest})
        return
    _print_figures(manifest["figures"], plan.held_out_clips)
    out.print(f"The checkpoint is in {out_folder}", highlight=False)


@group.command("check", epilog="Example: mllm-affect miniature check --figures")
@verb
def check(
    *,
    folder: Annotated[
        Path | None, typer.Argument(help="A built miniature; by default the shipped one.")
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Measure again too, about half a minute.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare a miniature with its manifest: every file's hash and, if asked, every figure.

    Exit status 1 when something differs.
    """
    from mllm_affect.model.miniature import embedded_checkpoint
    from mllm_affect.model.miniature.check import check_figures, check_files

    folder = folder or embedded_checkpoint()
    problems = check_files(folder)
    measured = []
    if figures and not problems:
        with _stages(show=not json) as advance:
            measured = check_figures(folder, advance)
    problems += [
        f"{figure.name} is {figure.measured:.3f}, the manifest says {figure.noted:.3f}"
        for figure in measured
        if not figure.holds
    ]
    if json:
        now: dict[str, Any] = {figure.name: figure.measured for figure in measured}
        print_json({"folder": str(folder), "problems": problems, "figures": now})
    else:
        for figure in measured:
            out.print(
                f"{figure.name:18s} {figure.measured:.3f} (manifest {figure.noted:.3f})",
                highlight=False,
            )
        for problem in problems:
            out.print(f"[red]differs[/] {problem}", highlight=False)
        if not problems:
            out.print(f"{folder} is what its manifest says.", highlight=False)
    if problems:
        raise typer.Exit(1)


@group.command("path", epilog="Example: mllm-affect miniature path")
@verb
def path(*, json: Json = False) -> None:
    """Print the folder of the miniature that ships with the package."""
    from mllm_affect.model.miniature import embedded_checkpoint

    folder = embedded_checkpoint()
    if json:
        print_json({"path": str(folder)})
    else:
        typer.echo(str(folder))


def _print_figures(figures: dict[str, float], clips: int) -> None:
    out.print(f"Right answers on {clips} clips of new faces and voices:", highlight=False)
    for name, share in figures.items():
        out.print(f"  {name:18s} {share:.3f}", highlight=False)


@contextmanager
def _stages(show: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show one progress bar after another, a new one whenever the stage's name changes."""
    with ExitStack() as shown:
        bars: dict[str, Advance] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                shown.close()
                bars.clear()
                bars[stage] = shown.enter_context(progress(stage, show))
            bars[stage](done, total)

        yield advance

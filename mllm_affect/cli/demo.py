"""The `demo` verb: the whole chain on this machine, told as it happens.

Does: tell the story of mllm_affect.cli.demo_story, print its table, write its report and figures.
Does not: run any stage itself.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, err, out, print_json, verb
from mllm_affect.cli.progress import Advance, progress
from mllm_affect.errors import UserError
from mllm_affect.interrupting import termination_interrupts

if TYPE_CHECKING:
    from eval.demo_page import Story


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("demo")(demo)


@verb
def demo(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for the report, figures and checkpoints.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of clips and training.")] = 0,
    real_video: Annotated[
        Path | None, typer.Option("--real-video", help="Also ask about this video of a person.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="End after the offline figures; start no service.")
    ] = False,
    json: Json = False,
) -> None:
    """Make clips, fine-tune the miniature, merge, serve it, ask it, and report.

    Example: mllm-affect demo --out runs/demo

    Made clips prove that the chain works; they say nothing about accuracy on people.
    """
    if real_video is not None and not real_video.is_file():
        raise UserError("missing_video", f"No video at {real_video}; check the path.")
    from eval import demo_page
    from eval.report import MADE_CLIPS_NOTE, write_report
    from mllm_affect.cli.demo_story import Demo, tell
    from mllm_affect.files import write_json

    narrator = ConsoleNarrator(show=not json)
    narrator.say(MADE_CLIPS_NOTE)
    with termination_interrupts():
        story = tell(Demo(out_dir, seed, real_video, offline), narrator)
    figures = demo_page.figures(story)
    write_report(out_dir / "report.html", demo_page.page(story))
    write_json(out_dir / "figures.json", figures)
    if json:
        print_json({"out": str(out_dir), **figures})
    else:
        _print_story(story, out_dir)


class ConsoleNarrator:
    """Tells the story on standard error; keeps the seconds of every stage."""

    def __init__(self, show: bool = True) -> None:
        """Tell nothing if `show` is False, and still keep the time."""
        self.seconds: dict[str, float] = {}
        self._show = show

    @contextmanager
    def stage(self, name: str) -> Iterator[Advance]:
        """Announce a stage, show its progress, and keep its wall time."""
        if self._show:
            err.print(f"[bold]{len(self.seconds) + 1}.[/] {name} …", highlight=False)
        start = time.perf_counter()
        with progress(f"   {name}", self._show) as advance:
            yield advance
        self.seconds[name] = time.perf_counter() - start
        self.say(f"{self.seconds[name]:.1f} s")

    def say(self, sentence: str) -> None:
        """Tell one fact, set in."""
        if self._show:
            err.print(f"   {sentence}", highlight=False, markup=False)


def _print_story(story: "Story", out_dir: Path) -> None:
    """Print the table of accuracies, the seconds per stage and one answer in full."""
    import json as json_module

    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from eval.demo_page import accuracy_rows
    from eval.report import MADE_CLIPS_NOTE, interval_text, share

    after = story.after.summary
    table = Table("held-out made clips", "n", "accuracy", "95 % interval", box=SIMPLE_HEAD)
    for name, measured in accuracy_rows(story):
        summary = measured.summary
        interval = interval_text(summary.accuracy_interval)
        table.add_row(name, f"{summary.videos}", share(summary.accuracy), interval)
    table.add_row(
        f"always “{after.majority}”", f"{after.videos}", share(after.majority_accuracy), ""
    )
    out.print(table)
    stages = Table("stage", "seconds", box=SIMPLE_HEAD)
    for name, seconds in story.seconds.items():
        stages.add_row(name, f"{seconds:.1f}")
    stages.add_row("all together", f"{sum(story.seconds.values()):.1f}")
    out.print(stages)
    if story.answer is not None:
        out.print("One answer in full:")
        out.print_json(json_module.dumps(story.answer))
    out.print(MADE_CLIPS_NOTE)
    out.print(f"Report: {out_dir / 'report.html'}")

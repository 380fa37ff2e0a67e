"""Progress of a fine-tuning: a bar for each of its stages, or JSON lines.

Does: draw on standard error, or print to standard output.  Does not: know what a stage does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from mllm_affect.cli.common import err, print_json

if TYPE_CHECKING:
    from finetune.progress import Progress

STAGES = {
    "prepare": "cutting videos",
    "check": "checking rows",
    "start": "starting ms-swift",
    "train": "training",
    "evaluate": "asking the evaluated split",
    "merge": "writing the checkpoint",
    "calibrate": "asking the validation split",
}


@contextmanager
def stage_bars(as_json: bool) -> "Iterator[Callable[[Progress], None]]":
    """Give a function that shows progress; a stage that comes again goes on with its bar."""
    if as_json:
        yield lambda progress: print_json({"progress": asdict(progress)})
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
    )
    shown: dict[str, TaskID] = {}

    def report(progress: "Progress") -> None:
        if progress.stage not in shown:
            if "start" in shown:
                bars.update(shown["start"], total=1, completed=1)
            shown[progress.stage] = bars.add_task(STAGES[progress.stage], total=None, note="")
        bars.update(
            shown[progress.stage],
            completed=progress.done,
            total=progress.total or None,
            note=_note(progress),
        )

    with bars:
        yield report


def _note(progress: "Progress") -> str:
    if progress.score is not None:
        return f"Macro-F1 {progress.score:.3f}"
    if progress.loss is None:
        return ""
    said = [f"loss {progress.loss:.3f}"]
    if progress.reward is not None:
        said = [f"reward {progress.reward:.3f}"]
    if progress.remaining_s is not None:
        said.append(f"{progress.remaining_s:.0f} s left")
    if progress.tokens_a_second is not None:
        said.append(f"{progress.tokens_a_second:.0f} tokens/s")
    if progress.memory_gib is not None:
        said.append(f"{progress.memory_gib:.1f} GiB")
    return "  ".join(said)

"""What happened when in a fine-tuning: events.jsonl and the picture of its loss.

Does: append each progress report with the time to a file; draw the loss.  Does not: draw bars.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.progress import Progress
from mllm_affect.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Report = Callable[[Progress], None]


def recorded(report: Report, path: Path) -> Report:
    """Return a report that also appends to `path`; a line is whole or, after a kill, the last."""

    def both(progress: Progress) -> None:
        known = {name: value for name, value in asdict(progress).items() if value is not None}
        with path.open("a", encoding="utf-8") as events:
            events.write(json.dumps({"time": round(time.time(), 3), **known}) + "\n")
        report(progress)

    return both


def draw_curve(path: Path, steps: Sequence[Progress], evaluations: Sequence[Progress]) -> None:
    """Write a PNG of every step's loss, or its mean reward where answers are rewarded.

    Beside it, on an axis of its own, the Macro-F1 of the evaluations, where there were any.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    rewards = [(step.done, step.reward) for step in steps if step.reward is not None]
    points = rewards or [(step.done, step.loss) for step in steps if step.loss is not None]
    axes.plot([done for done, _ in points], [value for _, value in points], linewidth=1.4)
    axes.set_xlabel("step")
    axes.set_ylabel("mean reward" if rewards else "training loss")
    axes.spines[["top", "right"]].set_visible(False)
    if evaluations:
        _draw_scores(axes.twinx(), evaluations)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _draw_scores(axes: "Axes", evaluations: Sequence[Progress]) -> None:
    points = [(item.done, item.score) for item in evaluations if item.score is not None]
    axes.plot(
        [done for done, _ in points], [score for _, score in points],
        marker="o", markersize=3, linewidth=1.0, color="tab:orange",
    )  # fmt: skip
    axes.set_ylim(0.0, 1.02)
    axes.set_ylabel("Macro-F1 on the evaluated split", color="tab:orange")
    axes.spines[["top", "left"]].set_visible(False)

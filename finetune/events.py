"""What happened when in a fine-tuning: events.jsonl and the picture of its loss.

Does: append each progress report with the time to a file; draw the loss.  Does not: draw bars.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from finetune.progress import Progress
from mllm_affect.files import replacing

Report = Callable[[Progress], None]


def recorded(report: Report, path: Path) -> Report:
    """Return a report that also appends to `path`; a line is whole or, after a kill, the last."""

    def both(progress: Progress) -> None:
        known = {name: value for name, value in asdict(progress).items() if value is not None}
        with path.open("a", encoding="utf-8") as events:
            events.write(json.dumps({"time": round(time.time(), 3), **known}) + "\n")
        report(progress)

    return both


def draw_curve(path: Path, steps: Sequence[Progress]) -> None:
    """Write a PNG of every step's loss, or its mean reward where answers are rewarded."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    rewards = [(step.done, step.reward) for step in steps if step.reward is not None]
    points = rewards or [(step.done, step.loss) for step in steps if step.loss is not None]
    axes.plot([done for done, _ in points], [value for _, value in points], linewidth=1.4)
    axes.set_xlabel("step")
    axes.set_ylabel("mean reward" if rewards else "training loss")
    axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)

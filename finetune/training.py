"""One training by ms-swift in a child process, resumed where an earlier one was killed.

Does: find where to start, run the command, check that it read every row and reached its end.
Does not: plan, prepare rows, or take the result out of the work folder.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.child import run_child
from finetune.command import TrainingCommand
from finetune.progress import Progress, StepLog, last_words, rows_read
from finetune.resuming.seals import best_checkpoint, checkpoints
from finetune.resuming.start import STEP_LOG, find_start, note_running
from mllm_affect.errors import EngineError

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """`checkpoint`, in the work folder: the best that was evaluated, else the last."""

    checkpoint: Path
    steps: list[Progress]
    evaluations: list[Progress]


def train(
    command: TrainingCommand,
    work: Path,
    log_path: Path,
    rows: int,
    identity: Mapping[str, Any],
    report: Report,
    tokens_a_step: float | None = None,
) -> Trained:
    """Train to the end, or to where evaluation ended it.

    `identity`: everything that decides the result; a training that was begun for another is
    refused.  Raises EngineError `training_failed`, and as `find_start` does.  On any exception
    `work` goes unless it holds a checkpoint.
    """
    start = find_start(work, identity)
    steps: dict[int, Progress] = {}
    evaluations: dict[int, Progress] = {}
    step_log = StepLog(work / STEP_LOG, tokens_a_step)

    def watch() -> None:
        for step in step_log.new_steps():
            (steps if step.score is None else evaluations)[step.done] = step
            report(step)

    report(Progress("start"))
    try:
        if start.finished:
            watch()
        else:
            going_on = command if start.checkpoint is None else command.resumed(start.checkpoint)
            status = run_child(
                going_on.argv, going_on.environment(os.environ), going_on.folder, log_path, watch,
                lambda pid: note_running(work, pid),
            )  # fmt: skip
            log = log_path.read_text(encoding="utf-8", errors="replace")
            _check_run(status, log, log_path, rows, list(steps.values()))
        saved = checkpoints(work)  # it ended well, so that the last one is whole
        if not saved:
            raise EngineError("training_failed", f"ms-swift left no checkpoint; see {log_path}.")
    except BaseException:
        if not checkpoints(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    return Trained(best_checkpoint(saved[-1]), _in_order(steps), _in_order(evaluations))


def _in_order(found: Mapping[int, Progress]) -> list[Progress]:
    """Return what was told, by step."""
    return [found[done] for done in sorted(found)]


def _check_run(status: int, log: str, log_path: Path, rows: int, steps: list[Progress]) -> None:
    if status != 0:
        raise EngineError(
            "training_failed",
            f"ms-swift stopped with status {status}: {last_words(log)} (all of it: {log_path})",
        )
    if rows_read(log) != rows:
        raise EngineError(
            "training_failed",
            f"ms-swift was given {rows} rows and says it read {rows_read(log)}; see {log_path}.",
        )
    if not steps or steps[-1].done != steps[-1].total:
        raise EngineError("training_failed", f"ms-swift ended early; see {log_path}.")

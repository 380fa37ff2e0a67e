"""How far a fine-tuning is, and what ms-swift's own log tells about it.

Does: follow ms-swift's logging.jsonl, and find the line of its output that explains a failure.
Does not: draw bars or run processes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Stage = Literal["prepare", "check", "start", "train", "evaluate", "merge", "calibrate"]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a stage: videos, rows, then steps.

    `remaining_s` is an estimate; `memory_gib` what a GPU has reserved at most; `reward` the mean
    of the answers sampled in a step; `score` the Macro-F1 of an evaluation behind step `done`.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    loss: float | None = None
    remaining_s: float | None = None
    tokens_a_second: float | None = None
    memory_gib: float | None = None
    reward: float | None = None
    score: float | None = None


SCORE = "validation_macro_f1"
"""Under which name evaluations during training stand in the log, and in TensorBoard."""


class StepLog:
    """Reads the steps that ms-swift has appended to its logging.jsonl since the last look.

    `tokens_a_step`: how many a step trains on, on average, as far as that is known.
    """

    def __init__(self, path: Path, tokens_a_step: float | None = None) -> None:
        self._path = path
        self._tokens_a_step = tokens_a_step
        self._offset = 0

    def new_steps(self) -> Iterator[Progress]:
        """Yield a Progress for each whole line that is new; a line still being written waits."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                step = _step(line, self._tokens_a_step)
                if step is not None:
                    yield step


def _step(line: bytes, tokens_a_step: float | None) -> Progress | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    if SCORE in record:
        done, total = _place(record)
        return Progress("evaluate", done=done, total=total, score=float(record[SCORE]))
    return _progress(record, tokens_a_step) if "loss" in record else None


def _place(record: dict[str, Any]) -> tuple[int, int]:
    done, _, total = str(record.get("global_step/max_steps", "0/0")).partition("/")
    return int(done), int(total)


def _progress(record: dict[str, Any], tokens_a_step: float | None) -> Progress:
    done, total = _place(record)
    pace = float(record.get("train_speed(s/it)", 0.0))
    return Progress(
        "train",
        done=done,
        total=total,
        loss=float(record["loss"]),
        remaining_s=pace * (total - done),
        tokens_a_second=round(tokens_a_step / pace, 1) if tokens_a_step and pace else None,
        memory_gib=record.get("memory(GiB)"),
        reward=record.get("reward"),
    )


EXPLAINS = re.compile(r"^\s*(?:\[rank\d+\]:\s*)?[\w.]*(?:Error|Exception|Interrupt)\b.*")
WRAPPERS = ("ChildFailedError", "CalledProcessError")


def last_words(log: str) -> str:
    """Return the line of `log` that best says why the run failed: its last exception."""
    lines = [line.strip() for line in re.split(r"[\r\n]", log) if line.strip()]
    errors = [
        line
        for line in lines
        if EXPLAINS.match(line) and not any(name in line for name in WRAPPERS)
    ]
    if errors:
        return errors[-1][:500]
    return lines[-1][:500] if lines else "it wrote nothing"


TRAINED_ROWS = re.compile(r"train_dataset: Dataset\(\{.*?num_rows: (\d+)", re.DOTALL)


def rows_read(log: str) -> int | None:
    """Return how many rows ms-swift says it trains on, or None when it does not say."""
    found = TRAINED_ROWS.findall(log)
    return int(found[-1]) if found else None

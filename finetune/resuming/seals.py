"""Which checkpoints of an unfinished training are whole.

Does: seal a checkpoint folder (length and SHA-256 of every file, written last), tell whether a
folder still is what was sealed, find the newest whole one, remove the others, find the best.
Does not: know what a checkpoint holds, or train.  Imports no torch.

The trainer writes a checkpoint file by file into its final folder, so that a kill leaves a folder
that looks like one.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from mllm_affect.errors import EngineError
from mllm_affect.files import sha256_file, write_json

SEAL = "sealed.json"
PREFIX = "checkpoint-"
STATE = "trainer_state.json"


def seal(folder: Path) -> None:
    """Bring every file of `folder` to the disk and write down what it holds."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != SEAL:
            with path.open("rb") as written:
                os.fsync(written.fileno())
            name = path.relative_to(folder).as_posix()
            files[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    write_json(folder / SEAL, {"files": files})


def is_whole(folder: Path) -> bool:
    """Whether `folder` was sealed and still holds exactly that."""
    try:
        sealed: dict[str, Any] = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        files = sealed["files"].items()
        return all(_is(folder / name, fact["bytes"], fact["sha256"]) for name, fact in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def checkpoints(work: Path) -> list[Path]:
    """Return the checkpoint folders in `work`, by step."""
    found = [path for path in work.glob(f"{PREFIX}*") if path.name[len(PREFIX) :].isdigit()]
    return sorted(found, key=step_of)


def step_of(folder: Path) -> int:
    """Return the number of steps behind a checkpoint."""
    return int(folder.name.removeprefix(PREFIX))


def newest_whole(work: Path) -> Path | None:
    """Return the newest whole checkpoint in `work` and remove every later one, which is torn."""
    for folder in reversed(checkpoints(work)):
        if is_whole(folder):
            return folder
        shutil.rmtree(folder)
    return None


def is_last(folder: Path) -> bool:
    """Whether training had reached its last step with this checkpoint."""
    state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return int(state["global_step"]) >= int(state["max_steps"])


def best_checkpoint(last: Path) -> Path:
    """Return the checkpoint that the trainer's state names as its best, else `last`.

    Raises EngineError `training_failed` when it is no longer whole.
    """
    state: dict[str, Any] = json.loads((last / STATE).read_text(encoding="utf-8"))
    named = state.get("best_model_checkpoint")
    if named is None:
        return last
    best = last.with_name(Path(named).name)
    if not is_whole(best):
        raise EngineError(
            "training_failed", f"{best}, which was the best, is damaged; remove it and begin again."
        )
    return best


def _is(path: Path, size: int, digest: str) -> bool:
    return path.stat().st_size == size and sha256_file(path) == digest

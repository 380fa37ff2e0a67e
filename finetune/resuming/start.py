"""Where a training starts: afresh, from the newest whole checkpoint, or at its end already.

Does: compare what is to be run with what the work folder was begun for, end a trainer that
outlived its parent, mend the step log.  Does not: train.
"""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from finetune.child import end_process
from finetune.resuming.seals import checkpoints, is_last, newest_whole, step_of
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json, write_json, write_text

BEGUN, RUNNING, STEP_LOG = "begun.json", "running.json", "logging.jsonl"


@dataclass(frozen=True)
class Start:
    """`checkpoint`: where to go on from, None to begin.  `finished`: there is nothing to do."""

    checkpoint: Path | None = None
    finished: bool = False


def find_start(work: Path, identity: Mapping[str, Any]) -> Start:
    """Return where a training of this identity starts in folder `work`, which is made if need be.

    The identity is everything that decides the result.  A torn checkpoint is removed, and so is all
    where there is no whole one.  Raises UserError `out_exists` where `work` holds checkpoints of
    another training.
    """
    _end_leftover(work / RUNNING)
    if checkpoints(work):
        if _read(work / BEGUN).get("identity") != sha256_json(identity):
            raise UserError(
                "out_exists",
                f"{work} holds checkpoints of an unfinished fine-tuning with other settings, data "
                "or versions; give the same to go on, name a new folder, or remove that one.",
            )
        whole = newest_whole(work)
        if whole is not None:
            _keep_steps(work / STEP_LOG, step_of(whole))
            return Start(whole, finished=is_last(whole))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_json(work / BEGUN, {"identity": sha256_json(identity), "of": dict(identity)})
    return Start()


def note_running(work: Path, pid: int) -> None:
    """Write down which process trains, so that a later run can end it."""
    with suppress(psutil.NoSuchProcess):
        began = psutil.Process(pid).create_time()
        write_json(work / RUNNING, {"pid": pid, "began": began})


def _end_leftover(path: Path) -> None:
    noted = _read(path)
    with suppress(psutil.NoSuchProcess, KeyError):
        # The same number may by now be somebody else's.
        if abs(psutil.Process(noted["pid"]).create_time() - noted["began"]) < 1.0:
            end_process(noted["pid"])
    path.unlink(missing_ok=True)


def _keep_steps(log: Path, last: int) -> None:
    """Drop steps after the checkpoint, and a line that was being written, from ms-swift's log."""
    kept = []
    with suppress(FileNotFoundError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                done = record.get("global_step/max_steps", "").partition("/")[0]
                if done and int(done) <= last:
                    kept.append(line)
    write_text(log, "".join(line + "\n" for line in kept))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

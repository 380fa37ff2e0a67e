"""Two trainings step by step in turn: `swift sft --external_plugins tests/turns_plugin.py`.

Does: wait before every step for this training's turn, hand the turn on after it, write the seconds
of each step, and those from when its rows were there.  Does not: start trainings (bench_evidence
does).  A turn is a byte in a named pipe.
The processes that read rows stand still while it is the other's turn.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from swift.callbacks import TrainerCallback, callbacks_map

# ms-swift imports this file by its path, from another folder.
sys.path.insert(0, str(Path(__file__).parent))

from turns import CALLBACK, MINE, NEXT, SECONDS_NAME


class TakeTurns(TrainerCallback):  # type: ignore[misc]
    """A step lasts from the turn's arrival to the step's end: rows, both passes, optimizer."""

    def on_train_begin(self, args: Any, *_state: Any, **_rest: Any) -> None:
        """Open the pipes and wait for the first turn."""
        self._folder = Path(args.output_dir).parent
        self._mine, self._next = (os.open(self._folder / n, os.O_RDWR) for n in (MINE, NEXT))
        self._seconds: list[tuple[float, float]] = []
        self._wait()

    def on_step_begin(self, *_args: Any, **_rest: Any) -> None:
        """Rows are there; what follows is computed."""
        self._computing = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, *_control: Any, **_rest: Any) -> None:
        """Hand the turn on; wait for the next one, unless this was the last step."""
        now = time.perf_counter()
        self._seconds.append((now - self._begun, now - self._computing))
        for reader in psutil.Process().children():
            reader.suspend()
        os.write(self._next, b".")
        if state.global_step < state.max_steps:
            self._wait()
        else:
            self._resume()
            (self._folder / SECONDS_NAME).write_text(json.dumps(self._seconds))

    def _wait(self) -> None:
        os.read(self._mine, 1)
        self._resume()
        self._begun = time.perf_counter()

    def _resume(self) -> None:
        for reader in psutil.Process().children():
            reader.resume()


callbacks_map[CALLBACK] = TakeTurns

"""`mllm-affect finetune run` as a user starts it, and its death by SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import psutil

RUN = "import sys; from mllm_affect.cli.app import main; sys.argv[0] = 'mllm-affect'; main()"


def wait_until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Training:
    """One training of so many steps into `out`."""

    def __init__(self, words: Sequence[str], steps: int, out: Path) -> None:
        self.out, self.steps = out, steps
        self.words = [sys.executable, "-c", RUN, "finetune", "run", "--json", *words]
        self.words += ["--out", str(out), "--set", f"max_steps={steps}"]

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip

    def finish(self) -> None:
        running = self.start()
        said, _ = running.communicate(timeout=600)
        assert running.returncode == 0, said[-3000:]

    def kill_at(self, step: int, delay_s: float, parent_only: bool) -> None:
        """Kill -9 once `step` is logged and some time has passed."""
        log = self.out / "training/logging.jsonl"
        running = self.start()
        try:
            wait_until(
                lambda: log.is_file() and f'"{step}/{self.steps}"' in log.read_text(), seconds=300
            )
            time.sleep(delay_s)
        finally:
            family = [] if parent_only else psutil.Process(running.pid).children(recursive=True)
            for pid in [*(process.pid for process in family), running.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            running.communicate(timeout=60)


def undisturbed_and_killed(
    words: Sequence[str], steps: int, points: int, folder: Path, seed: str
) -> tuple[Path, Path]:
    """Train twice, once killed at so many random points and started again; return both folders.

    Every fourth kill hits the parent alone.
    """
    whole, killed = (Training(words, steps, folder / name) for name in ("whole", "killed"))
    whole.finish()
    random = Random(seed)
    for point, step in enumerate(sorted(random.sample(range(1, steps), points))):
        killed.kill_at(step, random.uniform(0.0, 0.6), parent_only=point % 4 == 3)
    killed.finish()
    return whole.out, killed.out

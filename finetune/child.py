"""One child process that never outlives its parent's interest in it.

Does: start a program in its own process group with its output in a file, call back while it
runs, and end it with all its descendants on any exception, Ctrl-C or termination signal.
Does not: know what it runs.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from mllm_affect.interrupting import termination_interrupts

POLL_S = 0.2
GRACE_S = 10.0


def run_child(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
    watch: Callable[[], None],
    started: Callable[[int], None] = lambda _pid: None,
) -> int:
    """Run `argv` in `folder`, its output in the file `output`; return its exit status.

    `watch` is called several times a second and once more at the end; what it raises ends the
    child.  `started` is told its process id.  A termination signal to this process is raised here
    as KeyboardInterrupt.
    """
    with output.open("wb") as log, termination_interrupts():
        child = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            started(child.pid)
            while True:
                try:
                    status = child.wait(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    watch()
                    continue
                watch()
                return status
        finally:
            end_process(child.pid)
            child.wait()
            _end_group(child.pid)


def end_process(pid: int) -> None:
    """End a process and all its descendants: politely first, by force after some seconds.

    Descendants are looked up rather than signalled as a group, because torchrun gives each of
    its workers a session of its own.
    """
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=GRACE_S)


def _end_group(group: int) -> None:
    # What a leader that was itself killed has left behind.
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _quietly(action: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()

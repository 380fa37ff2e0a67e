"""Worker processes that may die: one task at a time each, and a death costs one task.

Does: start processes, give each the next task, replace one that died, end all when done or
interrupted.  Does not: know what a task is.  (`concurrent.futures` gives up the whole pool when
one process dies.)
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

END_SECONDS = 5.0
"""How long an ended worker may take before it is killed."""

LOOK_SECONDS = 1.0
"""How often to look whether a silent worker still lives, should its pipe not tell."""


@dataclass(frozen=True)
class Died:
    """A worker ended in the middle of a task; `status` as in multiprocessing: -9 is SIGKILL."""

    status: int


def shares_of_cores(workers: int) -> list[frozenset[int]]:
    """Deal the cores that this process may use to so many workers; each gets at least one.

    A decoder starts as many threads as its process has cores: dealing them keeps workers from
    starting cores times workers threads.  Empty sets where the platform cannot pin.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [frozenset()] * workers
    cores = sorted(os.sched_getaffinity(0))
    return [frozenset(cores[n % len(cores) :: max(1, workers)]) for n in range(workers)]


def run_each(
    tasks: deque[Task], function: Callable[[Task], Result], workers: int
) -> Generator[tuple[Task, Result | Died], None, None]:
    """Run `function` on every task, `workers` at a time; yield each with its result as it comes.

    Tasks may be added while iterating.  `function` must be importable, must not raise, and runs in
    fresh processes.  When the iterator is closed or an exception passes, all workers are ended.
    """
    pool = [_Worker[Task, Result](function, cores) for cores in shares_of_cores(workers)]
    try:
        while tasks or any(worker.busy for worker in pool):
            for worker in pool:
                if tasks and not worker.busy:
                    worker.give(tasks.popleft())
            wait([worker.pipe for worker in pool if worker.busy], LOOK_SECONDS)
            for worker in pool:
                outcome = worker.outcome()
                if outcome is not None:
                    yield outcome
    finally:
        for worker in pool:
            worker.end()
        for worker in pool:
            worker.ended()


class _Worker(Generic[Task, Result]):
    """A place for one process, which is started for its first task and after a death."""

    def __init__(self, function: Callable[[Task], Result], cores: frozenset[int]) -> None:
        self._function, self._cores = function, cores
        self._task: list[Task] = []
        self.process: SpawnProcess | None = None

    @property
    def busy(self) -> bool:
        """Whether it has a task."""
        return bool(self._task)

    def give(self, task: Task) -> None:
        """Hand it a task; it must be idle."""
        self._task = [task]
        if self.process is None:
            self._start()
        try:
            self.pipe.send(task)
        except OSError:  # it died while idle
            self._start()
            self.pipe.send(task)

    def outcome(self) -> tuple[Task, Result | Died] | None:
        """Return its task with the result, or with its death; None while it works or idles."""
        if not self.busy or self.process is None:
            return None
        if not self.pipe.poll():
            if self.process.is_alive():
                return None
            if not self.pipe.poll():
                return self._died(self.process)
        try:
            result: Result = self.pipe.recv()
        except (EOFError, OSError):
            return self._died(self.process)
        return self._task.pop(), result

    def end(self) -> None:
        """Let an idle process end, and tell a busy one to."""
        if self.process is not None:
            self.pipe.close()
            if self.busy:
                self.process.terminate()

    def ended(self) -> None:
        """Wait for the end of the process; kill it if it takes long."""
        if self.process is not None:
            self.process.join(END_SECONDS)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()

    def _died(self, process: SpawnProcess) -> tuple[Task, Died]:
        process.join()
        self.pipe.close()
        self.process = None
        return self._task.pop(), Died(process.exitcode or 0)

    def _start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # No daemon: a worker may start processes of its own.
        self.process = context.Process(
            target=_serve, args=(theirs, self._function, self._cores), daemon=False
        )
        self.process.start()
        theirs.close()


def _serve(pipe: Connection, function: Callable[[Task], Result], cores: frozenset[int]) -> None:
    """Work until the pipe ends.  Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if cores:
        os.sched_setaffinity(0, cores)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(function(task))

"""A child process never outlives the run that started it."""

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from finetune.child import run_child

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def start(program: str, tmp_path: Path, watch: object = lambda: None) -> int:
    assert callable(watch)
    argv = [sys.executable, "-c", program]
    return run_child(argv, os.environ, tmp_path, tmp_path / "log", watch)


def grandchild(tmp_path: Path) -> int | None:
    text = (tmp_path / "log").read_text()
    return int(text) if text.strip() else None


def gone(pid: int | None) -> bool:
    assert pid is not None
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_output_status_and_folder_are_the_child_s(tmp_path: Path) -> None:
    status = start("import os, sys; print(os.getcwd()); sys.exit('bad')", tmp_path)
    assert status == 1
    assert (tmp_path / "log").read_text() == f"{tmp_path}\nbad\n"


def test_watch_is_called_while_it_runs_and_after(tmp_path: Path) -> None:
    seen: list[str] = []
    program = "import time; print('a', flush=True); time.sleep(0.7); print('b')"
    start(program, tmp_path, lambda: seen.append((tmp_path / "log").read_text()))
    assert "a\n" in seen
    assert seen[-1] == "a\nb\n"


def test_an_interrupt_ends_the_whole_family(tmp_path: Path) -> None:
    def interrupt() -> None:
        if grandchild(tmp_path) is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(FAMILY, tmp_path, interrupt)
    assert gone(grandchild(tmp_path))


def test_a_termination_signal_is_an_interrupt(tmp_path: Path) -> None:
    def terminate() -> None:
        if grandchild(tmp_path) is not None:
            os.kill(os.getpid(), 15)

    with pytest.raises(KeyboardInterrupt):
        start(FAMILY, tmp_path, terminate)
    assert gone(grandchild(tmp_path))


def test_a_leader_that_is_killed_leaves_nobody(tmp_path: Path) -> None:
    program = FAMILY.replace("start_new_session=True", "start_new_session=False")
    program = program.replace("time.sleep(60)\n", "import os; os.kill(os.getpid(), 9)\n")
    assert start(program, tmp_path) == -9
    assert gone(grandchild(tmp_path))


def test_it_also_runs_outside_the_main_thread(tmp_path: Path) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(start("print(1)", tmp_path)))
    thread.start()
    thread.join(30)
    assert found == [0]

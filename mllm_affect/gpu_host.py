"""Whether this host can run a large model on its GPUs.

Does: ask the driver, look for a compiler, shared memory and disk, each with a remedy.
Does not: import torch, start a model, or count what a training takes (see `finetune plan`).
Nothing here is needed for the embedded miniature, which runs on a CPU.
"""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from mllm_affect.checkup import Finding, first_line, installed

SMALLEST_DRIVER = {"12": 525, "13": 580}
"""Oldest major version of NVIDIA's Linux driver, by the CUDA that torch brings."""

SHARED_MEMORY = Path("/dev/shm")
SHARED_BYTES = 1 << 30
"""More than enough for what processes of one model server exchange; Docker gives 64 MiB."""

CHECKPOINT_BYTES = 71e9
"""Qwen3-Omni-30B-A3B with speech output."""

COMPILERS = ("cc", "gcc", "clang")


def examine_gpu_host() -> list[Finding]:
    """Look at everything that GPUs need."""
    return [gpu(), driver(), compiler(), shared_memory(), disk()]


def gpu() -> Finding:
    """Ask the NVIDIA driver which GPU there is; none is no fault."""
    remedy = "none needed for the embedded miniature; Qwen3-Omni-30B-A3B wants two of 80 GB"
    works, found = _asked("name,memory.total")
    return Finding("GPU", works=works, needed=False, found=found, remedy=remedy)


def driver(find: Callable[[str], str | None] = installed) -> Finding:
    """Compare the driver with the CUDA that torch brings; `find` gives a package's version."""
    there, version = _asked("driver_version")
    cuda = find("nvidia-cuda-runtime") or find("nvidia-cuda-runtime-cu12")
    if not there or cuda is None:
        found = version if there else "none"
        return Finding("NVIDIA driver", works=there, needed=False, found=found,
                       remedy="install NVIDIA's driver for Linux")  # fmt: skip
    least = SMALLEST_DRIVER.get(cuda.partition(".")[0], max(SMALLEST_DRIVER.values()))
    major = version.partition(".")[0]
    return Finding(
        "NVIDIA driver",
        works=major.isdigit() and int(major) >= least,
        needed=False,
        found=f"{version}, and torch brings CUDA {cuda}",
        remedy=f"install driver {least} or newer",
    )


def compiler() -> Finding:
    """Look for a C compiler and Python's headers, with which triton builds kernel launchers."""
    program = next(filter(None, map(shutil.which, COMPILERS)), None)
    headers = (Path(sysconfig.get_path("include")) / "Python.h").is_file()
    missing = [
        name for name, there in (("a C compiler", program), ("Python.h", headers)) if not there
    ]
    return Finding(
        "compiler for GPU kernels",
        works=not missing,
        needed=False,
        found=f"{program}, Python.h" if not missing else f"without {' and '.join(missing)}",
        remedy="apt-get install gcc libc6-dev python3-dev; triton compiles with them on a GPU",
    )


def shared_memory() -> Finding:
    """Look at the memory that processes on several GPUs share."""
    remedy = "in a container: docker run --ipc=host, or --shm-size=1g; for several GPUs"
    try:
        status = os.statvfs(SHARED_MEMORY)
    except OSError:
        return Finding("shared memory", works=False, needed=False, found="none", remedy=remedy)
    size = status.f_frsize * status.f_blocks
    return Finding(
        "shared memory",
        works=size >= SHARED_BYTES,
        needed=False,
        found=f"{size / (1 << 30):.1f} GiB",
        remedy=remedy,
    )


def disk() -> Finding:
    """Look at the free disk of the working folder."""
    free = shutil.disk_usage(Path()).free
    return Finding(
        "free disk",
        works=free >= CHECKPOINT_BYTES,
        needed=False,
        found=f"{free / 1e9:.0f} GB in this folder",
        remedy=f"Qwen3-Omni-30B-A3B takes {CHECKPOINT_BYTES / 1e9:.0f} GB, a training more: "
        "see `finetune plan`",
    )


def _asked(fields: str) -> tuple[bool, str]:
    """Return whether the driver answers, and the answer or why there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False, "none (no nvidia-smi)"
    try:
        found = first_line([program, f"--query-gpu={fields}", "--format=csv,noheader"])
    except (OSError, subprocess.SubprocessError) as error:
        return False, f"the driver does not answer: {error}"
    return bool(found), found or "none"

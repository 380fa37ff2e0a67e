"""The service as a child program, for the demonstration.

Does: start `mllm-affect serve` on a free port of this machine, wait until it can answer, and end it
with everything it started.  Does not: know what is asked.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from mllm_affect.errors import EngineError
from mllm_affect.http_client import http_client

START_SECONDS = 300.0
GRACE_SECONDS = 20.0
LAST_LINES = 15


@dataclass(frozen=True)
class Service:
    """A service that was started; `log` holds what it and its engine printed."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when the service can answer.

        Raises EngineError `service_died` or `service_slow`, with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise EngineError(
                    "service_died",
                    f"The service ended with status {self.process.returncode} while starting:\n"
                    f"{self._last_lines()}",
                )
            with (
                contextlib.suppress(httpx.HTTPError),
                http_client(self.url, timeout=5.0) as client,
            ):
                if client.get("/readyz").status_code == httpx.codes.OK:
                    return
            time.sleep(0.5)
        raise EngineError(
            "service_slow",
            f"The service was not ready after {seconds:.0f} s; the end of {self.log}:\n"
            f"{self._last_lines()}",
        )

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])


@contextmanager
def running_service(checkpoint: Path, log: Path) -> Iterator[Service]:
    """Start the service for `checkpoint`; on leaving, it and all its children are gone.

    It prints into `log`, and its vLLM server into `engine.log` beside it.
    """
    port = free_port()
    command = [sys.executable, "-m", "mllm_affect", "serve"]
    command += ["--model", str(checkpoint), "--port", str(port)]
    command += ["--engine-log", str(log.with_name("engine.log"))]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Service(f"http://127.0.0.1:{port}", process, log)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]", grace: float = GRACE_SECONDS) -> None:
    """Ask the process to end, then end whatever is left of it and its children."""
    family = _family(process.pid)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    left = {*family, *_family(process.pid)}
    for member in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(list(left), timeout=5.0)
    process.wait()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are alive."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []

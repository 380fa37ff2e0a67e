"""A stock vLLM server as a supervised child process on loopback.

Does: start it in a process group of its own, wait until it answers, say why it died, end the whole
group.  Does not: send questions (see vllm_client) or choose options (see vllm_options).
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from mllm_affect.engine.vllm_options import (
    EngineOptions,
    runs_on_cpu,
    serve_command,
    serve_environment,
)
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling

POLL_SECONDS = 0.25
GRACE_SECONDS = 10.0


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuse_port_in_use(host: str, port: int) -> None:
    """Raise UserError `port_in_use` when something listens on the port, or it may not be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                "port_in_use",
                f"Port {port} on {host} cannot be used ({error.strerror}); give another --port.",
            ) from error


class VllmServer:
    """One vLLM server; use as a context manager, or call `start` and `stop`."""

    def __init__(
        self,
        checkpoint: Path,
        sampling: Sampling,
        log_path: Path,
        options: EngineOptions | None = None,
        port: int | None = None,
    ) -> None:
        self._options = options or EngineOptions()
        self._cpu = runs_on_cpu()
        self._port = free_port() if port is None else port
        self._command = serve_command(checkpoint, sampling, self._port, self._options, self._cpu)
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base address of the server."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; returns before it is ready."""
        refuse_port_in_use("127.0.0.1", self._port)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=serve_environment(self._options, self._cpu),
                start_new_session=True,
            )

    def wait_ready(
        self, timeout_s: float = 900.0, waiting: Callable[[float], None] | None = None
    ) -> None:
        """Return when the server answers; `waiting` is called with the seconds so far.

        Raises EngineError `engine_died` with the log's last telling line, or `engine_timeout`.
        """
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < timeout_s:
            self.raise_if_dead()
            if self.is_healthy():
                return
            if waiting is not None:
                waiting(elapsed)
            time.sleep(POLL_SECONDS)
        raise EngineError(
            "engine_timeout",
            f"The model server was not ready after {timeout_s:.0f} s; see its log.",
        )

    def is_healthy(self) -> bool:
        """Return whether the server answers its health check now."""
        try:
            return httpx.get(f"{self.url}/health", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def raise_if_dead(self) -> None:
        """Raise EngineError `engine_died` when the process has ended."""
        if self._process is None or self._process.poll() is None:
            return
        raise EngineError(
            "engine_died",
            f"The model server ended with status {self._process.returncode} while starting: "
            f"{telling_line(self._log_path)}",
        )

    def stop(self) -> None:
        """End the server and every process it started; harmless when it does not run."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        _signal_group(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        _signal_group(self._process.pid, signal.SIGKILL)
        for member in family:
            if member.is_running():
                member.kill()
        psutil.wait_procs(family, timeout=GRACE_SECONDS)
        self._process.wait(GRACE_SECONDS)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def telling_line(log_path: Path) -> str:
    """Return the last line of a log that names an error, without paths; else the last line."""
    lines = [line.strip() for line in log_path.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if re.search(r"\b\w*(Error|Exception)\b:", line)]
    told = (errors or lines or ["no output"])[-1]
    told = re.sub(r"^(\(.*?\)\s*)?(ERROR|INFO|WARNING)?\s*[\d:. -]*(\[[\w.:]+\])?\s*", "", told)
    return re.sub(r"(/[\w.@-]+){2,}/", "…/", told)[:300]


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return

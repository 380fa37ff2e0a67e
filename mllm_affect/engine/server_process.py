"""A server program as a supervised child process on loopback.

Does: start it in a process group of its own, wait until its health check answers, say why it died,
end the whole group.  Does not: know which program it is, or send it work.  `key` is what its health
check asks for as a bearer token.

The child's standard input is a pipe whose other end we hold: a child that watches it (see
vllm_entry) also ends when this process is killed.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from mllm_affect.errors import EngineError, UserError
from mllm_affect.http_client import http_client

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.25
GRACE_SECONDS = 10.0

CAUSE = re.compile(r"\b\w*(Error|Exception)\b:|\berror: ")
CONSEQUENCE = re.compile(r"Engine core initialization failed|EngineDeadError")
PREFIX = re.compile(r"^(\(.*?\)\s*)?((ERROR|INFO|WARNING)\s[\d:. -]*)?(\[[\w.]+:\d+\]\s*)?")
PATH = re.compile(r"(/[\w.@-]+){2,}/")
LONGEST_LINE = 300


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
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


def bearer(key: str | None) -> dict[str, str]:
    """Return the headers that send a key; none without one."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


class ServerProcess:
    """One server; use as a context manager, or call `start` and `stop`."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_path: Path,
        port: int,
        key: str | None = None,
    ) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._log_path, self._port, self.key = log_path, port, key
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base address of the server."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def log_path(self) -> Path:
        """Where everything that the server prints goes."""
        return self._log_path

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it was not started or was stopped."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; returns before it is ready.  Raises UserError `port_in_use`."""
        refuse_port_in_use(LOOPBACK, self._port)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        # What the server prints may quote what it was asked.
        descriptor = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait_ready(
        self, timeout_s: float = 900.0, waiting: Callable[[float], None] | None = None
    ) -> None:
        """Return when the server answers; `waiting` is called with the seconds so far.

        What `waiting` raises ends the wait.  Raises EngineError `engine_died` with the log's last
        telling line, or `engine_timeout`.
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
            with http_client(self.url, timeout=2.0, headers=bearer(self.key)) as client:
                return client.get("/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def raise_if_dead(self) -> None:
        """Raise EngineError `engine_died` when the process has ended."""
        if self._process is None or self._process.poll() is None:
            return
        raise EngineError(
            "engine_died",
            f"The model server ended with status {self._process.returncode}: "
            f"{telling_line(self._log_path)}",
        )

    def stop(self) -> None:
        """End the server and every process it started; harmless when it does not run."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        # Only the server is told, so that it can end its workers; what is left is killed.
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=GRACE_SECONDS)
        self._process.wait(GRACE_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()
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
    """Return the last line of a log that names a cause, without paths; else the last line."""
    lines = [line.strip() for line in log_path.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    causes = [line for line in lines if CAUSE.search(line) and not CONSEQUENCE.search(line)]
    told = PREFIX.sub("", (causes or lines or ["it printed nothing"])[-1])
    return PATH.sub("…/", told)[:LONGEST_LINE]


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []

"""Supervision, tried on small programs in place of a model server."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mllm_affect.engine.server_process import (
    ServerProcess,
    free_port,
    refuse_port_in_use,
    telling_line,
)
from mllm_affect.errors import EngineError, UserError

HEALTHY = """
import subprocess, sys, http.server
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[2], "w").write(str(child.pid))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

STUBBORN = (
    """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
    + HEALTHY
)


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllm_affect.engine.server_process.GRACE_SECONDS", 1.0)


def server(folder: Path, program: str, *arguments: str) -> ServerProcess:
    port = free_port()
    command = [sys.executable, "-c", textwrap.dedent(program), str(port), *arguments]
    return ServerProcess(command, {}, folder / "log" / "server.log", port)


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process has ended, zombies counting as ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Path]:
    """A file in which a program writes the process id of its own child."""
    path = tmp_path / "child.pid"
    yield path
    if path.exists() and not gone(int(path.read_text()), within_s=0.1):
        psutil.Process(int(path.read_text())).kill()


@pytest.mark.parametrize("program", [HEALTHY, STUBBORN])
def test_a_healthy_server_and_its_children_end(
    tmp_path: Path, told: Path, program: str, no_wait: None
) -> None:
    with server(tmp_path, program, str(told)) as running:
        running.wait_ready(20.0)
        assert running.is_running
        assert running.is_healthy()
        pid, child = running.pid, int(told.read_text())
        assert pid is not None
    assert gone(pid)
    assert gone(child)
    assert not running.is_running
    running.stop()  # harmless


def test_a_server_that_dies_says_why(tmp_path: Path) -> None:
    with (
        server(tmp_path, 'print("starting"); raise ValueError("no such model")') as dying,
        pytest.raises(EngineError) as caught,
    ):
        dying.wait_ready(20.0)
    assert caught.value.code == "engine_died"
    assert caught.value.sentence == (
        "The model server ended with status 1: ValueError: no such model"
    )


def test_children_of_a_server_that_died_end_too(tmp_path: Path, told: Path) -> None:
    program = HEALTHY.split("class Handler")[0] + 'raise SystemExit("lost its weights")'
    with server(tmp_path, program, str(told)) as dying:
        with pytest.raises(EngineError, match="lost its weights"):
            dying.wait_ready(20.0)
        child = int(told.read_text())
    assert gone(child)


def test_a_server_that_never_answers(tmp_path: Path) -> None:
    with (
        server(tmp_path, "import time; time.sleep(60)") as silent,
        pytest.raises(EngineError) as caught,
    ):
        silent.wait_ready(0.6)
    assert caught.value.code == "engine_timeout"


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    def give_up(_seconds: float) -> None:
        raise KeyboardInterrupt

    with server(tmp_path, "import time; time.sleep(60)") as silent:
        with pytest.raises(KeyboardInterrupt):
            silent.wait_ready(20.0, give_up)
        pid = silent.pid
    assert pid is not None
    assert gone(pid)


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path, told: Path) -> None:
    with server(tmp_path, HEALTHY, str(told)) as first:
        first.wait_ready(20.0)
        port = int(first.url.rsplit(":", 1)[1])
        second = ServerProcess([sys.executable, "-c", ""], {}, tmp_path / "second.log", port)
        with pytest.raises(UserError) as caught:
            second.start()
        assert caught.value.code == "port_in_use"
        assert not (tmp_path / "second.log").exists()
        with pytest.raises(UserError, match=str(port)):
            refuse_port_in_use("127.0.0.1", port)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_is_killed(
    tmp_path: Path, told: Path, number: signal.Signals
) -> None:
    """The child watches its standard input, as vllm_entry does."""
    watching = """
    import subprocess, sys, time
    from mllm_affect.engine.vllm_entry import end_with_parent
    end_with_parent()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("up", flush=True)
    open(sys.argv[2], "w").write(str(child.pid))
    time.sleep(600)
    """
    parent = f"""
    import os, sys, time
    from pathlib import Path
    from mllm_affect.engine.server_process import ServerProcess, free_port
    port = free_port()
    command = [sys.executable, "-c", {textwrap.dedent(watching)!r}, str(port), {str(told)!r}]
    server = ServerProcess(command, dict(os.environ), Path({str(tmp_path)!r}) / "log", port)
    server.start()
    print(server.pid, flush=True)
    time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    deadline = time.monotonic() + 20
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    grandchild = int(told.read_text())
    process.send_signal(number)
    process.wait(10)
    process.stdout.close()
    assert gone(child)
    assert gone(grandchild)


LOG = """
(APIServer pid=1) INFO 11-24 02:36:03 [api_server.py:10] starting
(EngineCore pid=2) ERROR 11-24 02:36:09 [core.py:700] ValueError: /data/models/x/config.json is bad
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.
(APIServer pid=1) Goodbye
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (LOG, "ValueError: …/config.json is bad"),
        ("one\ntwo\n", "two"),
        ("", "it printed nothing"),
        ("usage\nvllm serve: error: argument --x: bad\n", "vllm serve: error: argument --x: bad"),
    ],
)
def test_the_telling_line(tmp_path: Path, log: str, line: str) -> None:
    path = tmp_path / "log"
    path.write_text(log)
    assert telling_line(path) == line

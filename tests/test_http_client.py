"""HTTP clients: this machine is reached directly, other hosts through the environment's proxy."""

import ast
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.cli.demo_service import Service
from mllm_affect.client import ServiceClient
from mllm_affect.engine.server_process import ServerProcess
from mllm_affect.engine.vllm_http import VllmHttp
from mllm_affect.engine.watched_server import Health
from mllm_affect.errors import EngineError, UserError
from mllm_affect.http_client import http_client, is_this_machine
from serve.model_servers import _served_name
from tests.without_proxies import PROXY_VARIABLES

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("mllm_affect", "serve", "eval", "finetune")
MODELS = b'{"data": [{"id": "model"}]}'


class Recorder(ThreadingHTTPServer):
    """Answers every request with a list of models, and notes what it was asked for."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self.requestline)
        self.send_response(200)
        self.send_header("Content-Length", str(len(MODELS)))
        self.end_headers()
        self.wfile.write(MODELS)

    do_POST = do_CONNECT = do_GET

    def log_message(self, *_given: Any) -> None:
        pass


@contextmanager
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recorder() as one:
        yield one


@pytest.fixture(params=["upper", "lower"])
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A proxy that the environment names for everything."""
    with recorder() as one:
        for name in PROXY_VARIABLES[:3]:
            name = name if request.param == "upper" else name.lower()
            monkeypatch.setenv(name, one.url)
        yield one


def healthy_process(url: str, folder: Path) -> None:
    process = ServerProcess([], {}, folder / "log", int(url.rpartition(":")[2]))
    assert process.is_healthy()


def engine_health(url: str, _folder: Path) -> None:
    assert VllmHttp(url, None, 1).health() is Health.well


def engine_question(url: str, _folder: Path) -> None:
    from mllm_affect.stopping import Stop

    http = VllmHttp(url, None, 1)
    assert http.post("/v1/chat/completions", {}, http.patience(Stop(), 5.0)).status_code == 200


def served_name(url: str, _folder: Path) -> None:
    assert _served_name(url) == "model"


def demonstration(url: str, folder: Path) -> None:
    import subprocess

    process = subprocess.Popen(["sleep", "60"])
    try:
        Service(url, process, folder / "log").wait_until_ready(5.0)
    finally:
        process.kill()
        process.wait()


def client(url: str, folder: Path) -> None:
    video = folder / "video"
    video.write_bytes(b"content")
    with ServiceClient(url) as service, video.open("rb") as stream:
        assert service.send("POST", "/v1/videos", content=stream).status_code == 200


def ask(url: str, folder: Path) -> None:
    """What `ask` sends arrives; the answer of this server is none of a service."""
    video = folder / "video"
    video.write_bytes(b"content")
    CliRunner().invoke(app, ["ask", str(video), "--task", "ah", "--url", url])


@pytest.mark.parametrize(
    "use",
    [healthy_process, engine_health, engine_question, served_name, demonstration, client, ask],
)
def test_this_machine_is_never_reached_through_a_proxy(
    server: Recorder, proxy: Recorder, tmp_path: Path, use: Callable[[str, Path], None]
) -> None:
    use(server.url, tmp_path)
    assert server.seen
    assert proxy.seen == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "LOCALHOST"])
def test_every_name_of_this_machine_is_reached_directly(
    server: Recorder, proxy: Recorder, host: str
) -> None:
    with http_client(f"http://{host}:{server.server_address[1]}", timeout=5.0) as client:
        assert client.get("/").status_code == 200
    assert (len(server.seen), proxy.seen) == (1, [])


def test_another_host_is_reached_through_the_proxy(proxy: Recorder) -> None:
    assert _served_name("http://models.example:8001") == "model"
    assert proxy.seen == ["GET http://models.example:8001/v1/models HTTP/1.1"]


def test_another_host_that_no_proxy_names_is_not(
    proxy: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "models.invalid")
    with ServiceClient("http://models.invalid") as service, pytest.raises(EngineError):
        service.send("GET", "/v1/limits")
    assert proxy.seen == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.1", "127.1", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::",
     "localhost", "localhost.", "affect.localhost"],
)  # fmt: skip
def test_this_machine_has_many_names(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "localhost.example", "notlocalhost", "127.0.0.1.example", "::2", "", "müller"],
)
def test_other_machines_are_told_from_it(host: str) -> None:
    assert not is_this_machine(host)


@pytest.mark.parametrize(
    ("value", "says"),
    [("socks5://127.0.0.1:1", "socksio"), ("ftp://proxy", "proxy")],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    video = tmp_path / "video"
    video.write_bytes(b"content")
    words = ["ask", str(video), "--task", "ah", "--url", "http://service.example"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert "[bad_proxy]" in done.output
    assert says in done.output
    assert "Traceback" not in done.output
    http_client("http://127.0.0.1:8000").close()  # needs no proxy


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://", "http://[bad", "//host"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(UserError, match="is no address") as told:
        http_client(url)
    assert told.value.code == "bad_url"
    with pytest.raises(UserError) as engine:
        _served_name(url)
    assert engine.value.code == "bad_engine_url"


def clients_made(path: Path) -> list[str]:
    """Return the lines of a file that send by other means than `http_client`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        made = isinstance(node, ast.Call) and ast.unparse(node.func) in MAKE_CLIENTS
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{one.name}" for one in node.names)]
        if made or any(name in OTHER_LIBRARIES or name in MAKE_CLIENTS for name in names):
            found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    return found


MAKE_CLIENTS = {
    f"httpx.{name}"
    for name in [
        *("Client", "AsyncClient", "get", "post", "put", "patch", "delete", "head"),
        *("options", "request", "stream"),
    ]
}
OTHER_LIBRARIES = {
    "urllib.request", "http.client", "requests", "aiohttp", "urllib3", "openai", "httpx2",
}  # fmt: skip


def test_no_other_place_makes_a_client() -> None:
    files = [path for folder in PROGRAMS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    allowed = ROOT / "mllm_affect" / "http_client.py"
    assert [line for path in files if path != allowed for line in clients_made(path)] == []
    assert clients_made(allowed), "what the check looks for is there to be found"

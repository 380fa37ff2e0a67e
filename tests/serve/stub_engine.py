"""A program that speaks as much of vLLM's interface as the service uses, with made-up answers.

Run as `python stub_engine.py PORT [SECONDS_A_QUESTION]`: a real process behind real HTTP that tests
can kill, stop and make misbehave.  Its answers depend on the clip and the question alone, so that
two of them agree; like vLLM it keeps media under the name that they come with, until it is killed.
On a question with `REFUSED?`, `CUT?` or `SLOW?` it fails whatever its mode.
`POST /mode/NAME` makes it `well`, `hung` (no answer at all), `slow`, `garbled` or `broken`.
"""

import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

SLOW_SECONDS = 3.0


class StubServer(ThreadingHTTPServer):
    daemon_threads = True

    request_queue_size = 512
    mode = "well"
    seconds = 0.0

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.kept: dict[str, str] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever gives up a question closes its connection."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StubServer

    def do_GET(self) -> None:
        self._hang_if_told()
        if self.path == "/v1/models":
            self._send({"data": [{"id": "stub"}]})
        else:
            self._send({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/mode/"):
            self.server.mode = self.path.rpartition("/")[2]
            self._send({})
            return
        self._hang_if_told()
        time.sleep(SLOW_SECONDS if self.server.mode == "slow" else self.server.seconds)
        if self.server.mode == "garbled":
            self._send({"choices": [{"logprobs": "\ufffd"}]})
        elif self.server.mode == "broken":
            self._send({"error": {"message": "/srv/secret is broken"}}, 500)
        else:
            self._answer(json.loads(content))

    def _answer(self, body: dict[str, Any]) -> None:
        asked = []
        for part in (part for message in body["messages"] for part in parts_of(message)):
            if part["type"] == "text":
                asked.append(part["text"])
                continue
            name, sent = part["uuid"], json.dumps(part[part["type"]], sort_keys=True)
            if part[part["type"]].get("data") or part[part["type"]].get("url"):
                self.server.kept[name] = hashlib.sha256(sent.encode()).hexdigest()
            elif name not in self.server.kept:
                sentence = f"Cache miss: the data of '{name}' must be provided"
                self._send({"error": {"message": sentence}}, 400)
                return
            asked.append(self.server.kept[name])
        if any("REFUSED?" in text for text in asked):
            self._send({"error": {"message": "Internal server error"}}, 500)
            return
        if any("CUT?" in text for text in asked):
            self.close_connection = True
            return
        if any("SLOW?" in text for text in asked):
            time.sleep(SLOW_SECONDS)
        self._send({"choices": [answer(body, asked)]})

    def _hang_if_told(self) -> None:
        while self.server.mode == "hung":
            time.sleep(0.05)

    def _send(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def answer(body: dict[str, Any], asked: list[str]) -> dict[str, Any]:
    """A choice whose log-probabilities are drawn from what was asked about which media."""
    question = json.dumps(asked).encode()
    forced = body.get("vllm_xargs", {}).get("forced_tokens", [])
    steps: list[dict[str, Any]] = [{"token": f"token_id:{n}", "top_logprobs": []} for n in forced]
    numbers = body.get("logprob_token_ids", [])
    weights = [1 + hashlib.sha256(question + b"%d" % n).digest()[0] for n in numbers]
    tokens = [
        {"token": f"token_id:{n}", "logprob": math.log(weight / sum(weights))}
        for n, weight in zip(numbers, weights, strict=True)
    ]
    steps.append({"token": "token_id:0", "top_logprobs": tokens})
    return {
        "message": {"content": hashlib.sha256(question).hexdigest()[:12]},
        "logprobs": {"content": steps},
    }


class Stub:
    """A running stub."""

    def __init__(self, port: int, seconds: float = 0.0) -> None:
        self.port, self.seconds = port, seconds
        self.url = f"http://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        words = [sys.executable, str(Path(__file__)), str(self.port), str(self.seconds)]
        self.process = subprocess.Popen(words)
        for _ in range(600):
            try:
                httpx.get(f"{self.url}/health", timeout=1)
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError("the stub does not answer")

    def mode(self, name: str) -> None:
        httpx.post(f"{self.url}/mode/{name}", timeout=10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def stub_engine(seconds: float = 0.0) -> Iterator[Stub]:
    from mllm_affect.engine.server_process import free_port

    stub = Stub(free_port(), seconds)
    try:
        yield stub
    finally:
        stub.kill()


if __name__ == "__main__":
    stub_server = StubServer(("127.0.0.1", int(sys.argv[1])), Handler)
    stub_server.seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    stub_server.serve_forever()

"""A few lines of HTTP that answer as a model server does, or as a faulty one does."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vocabularies import miniature_vocabulary

from mllm_affect.engine.vllm_client import VllmEngine

Reply = Callable[[dict[str, Any]], tuple[int, Any]]


class FaultyServer(ThreadingHTTPServer):
    """Answers every request with what `reply` says; `bodies` are the requests so far."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Reply = lambda body: (200, {})
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def do_GET(self) -> None:
        self._send(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        status, answer = self.server.reply(body)
        if status == 0:
            self.close_connection = True
            return
        self._send(status, answer)

    def _send(self, status: int, answer: Any) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def client_of(url: str) -> VllmEngine:
    return VllmEngine(url, 4.0, "model", concurrency=1, vocabulary=miniature_vocabulary())


def number_of(token: str) -> int:
    return miniature_vocabulary().id_of(token.encode())


def choice(body: dict[str, Any], tokens: dict[int, float]) -> dict[str, Any]:
    """A chat completion with these tokens' log-probabilities; all others are next to impossible."""
    forced = body.get("vllm_xargs", {}).get("forced_tokens", [])
    content: list[dict[str, Any]] = [{"token": f"token_id:{n}", "top_logprobs": []} for n in forced]
    entries = [
        {"token": f"token_id:{number}", "logprob": tokens.get(number, -9999.0)}
        for number in body["logprob_token_ids"]
    ]
    content.append({"token": "token_id:3", "logprob": 0.0, "top_logprobs": entries})
    return {"choices": [{"message": {"content": "x"}, "logprobs": {"content": content}}]}


def yes_or_no(body: dict[str, Any]) -> tuple[int, Any]:
    """The usual answer of a well server."""
    return 200, choice(body, {number_of("y"): -0.1, number_of("n"): -2.4})

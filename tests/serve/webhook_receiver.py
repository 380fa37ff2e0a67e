"""A real HTTP receiver of webhooks on this machine, which answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mllm_affect.client.webhooks import WebhookEvent, verified_webhook


@dataclass
class Answer:
    """What the receiver does with one request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    body: bytes = b""


@dataclass
class Got:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def event(self, *secrets: str, **given: Any) -> WebhookEvent:
        return verified_webhook(self.body, self.headers, secrets, **given)


class Receiver:
    """Answers from a list in turn, then 200."""

    def __init__(self, port: int = 0, answers: Sequence[Answer] = ()) -> None:
        self.got: list[Got] = []
        self._answers, self._lock = list(answers), threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                one = Got(self.path, dict(self.headers), self.rfile.read(length))
                with receiver._lock:
                    receiver.got.append(one)
                    answer = receiver._answers.pop(0) if receiver._answers else Answer()
                time.sleep(answer.wait_s)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def do_GET(self) -> None:
                receiver.got.append(Got(self.path, dict(self.headers), b""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing: whoever gives up a slow answer closes its connection."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hidden"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def receiver(*answers: Answer, port: int = 0) -> Iterator[Receiver]:
    one = Receiver(port, answers)
    one.start()
    try:
        yield one
    finally:
        one.close()


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)

"""Traces reach a collector over OTLP/HTTP, hold no content, and never stand in anybody's way."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from service_in_process import Service
from stub_engine import stub_engine
from typer.testing import CliRunner

from mllm_affect import tracing
from mllm_affect.cli.app import app
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.vllm_http import VllmHttp
from mllm_affect.errors import EngineError
from mllm_affect.stopping import Stop
from serve.settings import ServiceSettings
from serve.telemetry import traced

QUESTION = "Does the person hide a smile?"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector:
    """Spans that were sent, as parsed from OTLP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""

    @property
    def requests(self) -> list[Any]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


def facts(span: Any) -> dict[str, Any]:
    values = {item.key: item.value for item in span.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


@contextmanager
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_ask_is_one_trace_without_content(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with collector() as seen:
        with traced(seen.url):
            service = Service(ServiceSettings(otlp_endpoint=seen.url))
            with video.open("rb") as file:
                answer = service.http.post(
                    "/v1/ask",
                    files={"video": ("secret-name.mp4", file)},
                    data={"question": QUESTION, "answers": ["perhaps", "surely"]},
                    headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
                )
            assert answer.status_code == 200
        (request,), (queue,), (decode,) = map(seen.named, ("request", "queue", "decode"))
        assert facts(request) == {
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "http.route": "/v1/ask",
            "request_id": answer.headers["x-request-id"],
        }
        assert {span.trace_id.hex() for span in seen.spans} == {TRACE}
        assert queue.parent_span_id == decode.parent_span_id == request.span_id
        assert decode.end_time_unix_nano > decode.start_time_unix_nano
        sent = b"".join(seen.bodies)
    for secret in (QUESTION, "perhaps", "secret-name", "127.0.0.1", "testclient", str(video)):
        assert secret.encode() not in sent
    assert b"mllm-affect" in sent


def test_an_analysis_is_found_by_its_id(video: Path) -> None:
    with collector() as seen:
        with traced(seen.url):
            service = Service(ServiceSettings(otlp_endpoint=seen.url))
            files = {"video": ("v.mp4", video.read_bytes())}
            kept = service.http.post("/v1/videos", files=files).json()
            made = service.http.post(
                "/v1/analyses", json={"video_id": kept["id"], "task": "ah"}
            ).json()
            service.worked()
            service.http.get("/healthz")
        (analysis,) = seen.named("analysis")
        told = facts(analysis)
        assert told["queued_s"] >= 0
        assert (told["analysis_id"], told["outcome"]) == (made["id"], "succeeded")
        routes = {facts(span)["http.route"]: facts(span) for span in seen.named("request")}
        assert set(routes) == {"/v1/videos", "/v1/analyses"}
        assert routes["/v1/analyses"]["analysis_id"] == made["id"]
        assert analysis.span_id in {span.parent_span_id for span in seen.named("decode")}


class Failing(EchoEngine):
    def score(self, *_asked: Any, **_more: Any) -> Any:
        raise EngineError("engine_failed", f"It failed on {QUESTION}")


def test_a_failure_is_marked_by_its_code_alone(video: Path) -> None:
    with collector() as seen:
        with traced(seen.url), pytest.raises(EngineError), tracing.span("work"):
            Failing().score()
        (work,) = seen.named("work")
        assert facts(work) == {"error.type": "engine_failed"}
        assert work.status.code == 2
        assert not work.events
        assert QUESTION.encode() not in b"".join(seen.bodies)


def test_the_model_server_is_told_of_the_span(monkeypatch: pytest.MonkeyPatch) -> None:
    headers: list[dict[str, str]] = []
    with stub_engine() as stub, collector() as seen:
        http = VllmHttp(stub.url, None, 1)
        with http._connections.lent() as connection:
            client = connection.client
        client.event_hooks = {"request": [lambda sent: headers.append(dict(sent.headers))]}
        body = {"messages": []}
        with traced(seen.url), tracing.span("request"):
            http.choice(body, http.patience(Stop(), None))
        (request,), (engine,) = seen.named("request"), seen.named("engine")
        assert engine.parent_span_id == request.span_id
        trace, span = engine.trace_id.hex(), engine.span_id.hex()
        assert headers[0]["traceparent"].startswith(f"00-{trace}-{span}-0")
        http.choice(body, http.patience(Stop(), None))
        assert "traceparent" not in headers[-1]
        http.close()


@pytest.mark.parametrize("collector_url", ["http://127.0.0.1:9/v1/traces", "silent"])
def test_a_collector_that_is_away_delays_nothing(video: Path, collector_url: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        if collector_url == "silent":
            collector_url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        begun = time.monotonic()
        with traced(collector_url):
            service = Service(ServiceSettings(otlp_endpoint=collector_url))
            for _ in range(200):
                assert service.http.get("/v1/limits").status_code == 200
            asked = time.monotonic() - begun
        ended = time.monotonic() - begun - asked
    assert asked < 10
    assert ended < 12  # of two bounded tries to send the rest


def test_without_an_endpoint_nothing_is_imported() -> None:
    code = (
        "import sys, serve.running, mllm_affect.pipeline; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [("collector:4318", "bad_otlp_endpoint"), ("http://[bad", "bad_otlp_endpoint")],
)
@pytest.mark.parametrize("verb", ["serve", "worker --data data"])
def test_an_address_that_is_none_is_refused(verb: str, endpoint: str, code: str) -> None:
    done = CliRunner().invoke(app, [*verb.split(), "--otlp-endpoint", endpoint])
    assert done.exit_code == 2
    assert code in done.output


def test_without_the_package_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mllm_affect.errors import UserError

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UserError, match=r"mllm-affect\[otel\]"), traced("http://127.0.0.1:9/x"):
        pass

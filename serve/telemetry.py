"""Traces of the service for an OpenTelemetry collector, over OTLP/HTTP; off by default.

Does: record requests, waits for a turn, decoding, analyses and questions to the model server as
spans, and send them in the background.  Does not: see content (see mllm_affect.tracing), or ever
delay or fail what it records: spans that cannot be sent are dropped.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mllm_affect import __version__, tracing
from mllm_affect.errors import UserError
from mllm_affect.http_client import requests_session
from serve.paths import route_path

SERVICE_NAME = "mllm-affect"
TIMEOUT_S = 5.0
QUEUE = 2048
"""Spans that wait to be sent; more are dropped."""

END_MS = 2000
"""What is left is sent for so long when the process ends."""

PARENTS = ("traceparent", "tracestate")
NEW_ANALYSIS = "/v1/analyses/"

UNTRACED = ("/healthz", "/readyz", "/metrics", "/page/", "/docs", "/static")
"""Paths that are asked for again and again, or without work."""


def checked_endpoint(url: str | None) -> str | None:
    """Return the address of a collector.  Raises UserError `bad_otlp_endpoint`."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(
            "bad_otlp_endpoint",
            f"--otlp-endpoint is {url!r}; give the collector's whole address, such as "
            "http://127.0.0.1:4318/v1/traces.",
        )
    return url


@contextmanager
def traced(endpoint: str | None) -> Iterator[None]:
    """Record spans while the block runs, and send them to `endpoint`; None: record nothing.

    Raises UserError `missing_package` without the extra `otel`.
    """
    if endpoint is None:
        yield
        return
    provider = _provider(endpoint)
    tracing.trace_with(_OpenTelemetry(provider))
    try:
        yield
    finally:
        tracing.trace_with(None)
        provider.force_flush(END_MS)
        provider.shutdown()


def _provider(endpoint: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise UserError(
            "missing_package",
            f'{error.name} is missing; pip install "mllm-affect[otel]", or leave out '
            "--otlp-endpoint.",
        ) from error
    session = requests_session(endpoint)
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S, session=session)
    facts = {"service.name": SERVICE_NAME, "service.version": __version__}
    # Not Resource.create: it would add the host's name and process's command line.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(facts), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE))
    # A collector that is away is no fault of the service's; one line a batch would fill the log.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return provider


class _OpenTelemetry:
    """A Tracer over the OpenTelemetry SDK."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer(SERVICE_NAME, __version__)
        self._propagator, self._trace = TraceContextTextMapPropagator(), trace

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, tracing.Attribute], parent: Mapping[str, str]
    ) -> Iterator[tracing.Span]:
        """Time a block."""
        with self._tracer.start_as_current_span(
            name, self._propagator.extract(parent) if parent else None,
            attributes=dict(attributes), record_exception=False, set_status_on_exception=False,
        ) as current:  # fmt: skip
            try:
                yield _Recorded(current)
            except BaseException as error:
                code = getattr(error, "code", None)  # of ours; texts of others may hold content
                current.set_attribute("error.type", str(code or type(error).__name__))
                current.set_status(self._trace.StatusCode.ERROR)
                raise

    def begin(self, name: str) -> Callable[[], None]:
        """Begin a child of the current span; ending it twice does nothing."""
        started = self._tracer.start_span(name, record_exception=False)

        def end() -> None:
            if started.is_recording():
                started.end()

        return end

    def headers(self) -> dict[str, str]:
        """Return `traceparent` of the current span."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier


class _Recorded:
    def __init__(self, span: Any) -> None:
        self._span = span

    def set(self, name: str, value: tracing.Attribute) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)


class TracedRequests:
    """Record each request as a span named by its route, never by its path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = route_path(scope) if scope["type"] == "http" else "/"
        if scope["type"] != "http" or path == "/" or path.startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = {name: headers[name] for name in PARENTS if name in headers}
        with tracing.span("request", parent) as current:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    current.set("http.response.status_code", message["status"])
                    place = Headers(raw=message.get("headers", [])).get("location", "")
                    if NEW_ANALYSIS in place:  # the worker's span has the same id
                        current.set("analysis_id", place.rpartition("/")[2])
                await send(message)

            current.set("http.request.method", scope["method"])
            try:
                await self._app(scope, receive, noted)
            finally:
                route = getattr(scope.get("route"), "path", "")
                current.set("http.route", route)
                current.set("request_id", scope.get("state", {}).get("request_id", ""))

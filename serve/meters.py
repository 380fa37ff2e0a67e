"""What the service counts and times.

Does: hold the metrics of one process in a registry of its own, and count every request.
Does not: know content; labels are routes, statuses and codes of ours.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import fields

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mllm_affect.media.isolation.sandbox import SandboxLayers

STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
DELIVERY_STATES = ("pending", "delivered", "failed")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Meters:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Histogram(
            "mllm_affect_request_seconds", "Time to the last byte of an answer.",
            ("operation", "status"), registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.analyses = Gauge(
            "mllm_affect_analyses", "Analyses in the store.", ("status",), registry=self.registry
        )
        self.ready = Gauge(
            "mllm_affect_engine_ready", "Whether a model server answers.", registry=self.registry
        )
        self.database = Gauge(
            "mllm_affect_database_ready", "Whether the database takes changes.",
            registry=self.registry,
        )  # fmt: skip
        self.sandbox = Gauge(
            "mllm_affect_sandbox_layer", "Whether a layer confines decoding processes here.",
            ("layer",), registry=self.registry,
        )  # fmt: skip
        self.segments = Counter(
            "mllm_affect_segments", "Segments answered by this process.", registry=self.registry
        )
        self.finished = Histogram(
            "mllm_affect_analysis_seconds", "Time that this process worked on an analysis.",
            ("outcome",), registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.webhook_tries = Counter(
            "mllm_affect_webhook_tries", "Tries to deliver a webhook from this process.",
            ("outcome",), registry=self.registry,
        )  # fmt: skip
        self.webhooks = Gauge(
            "mllm_affect_webhooks", "Webhook deliveries in the store.", ("state",),
            registry=self.registry,
        )  # fmt: skip
        self.waits = Counter(
            "mllm_affect_engine_waits", "Analyses put back because no model server answered.",
            registry=self.registry,
        )  # fmt: skip

    def note_webhooks(self, deliveries: Mapping[str, int] | None) -> None:
        """Note how many deliveries there are of each state, None if unknown."""
        for state in DELIVERY_STATES:
            number = math.nan if deliveries is None else deliveries.get(state, 0)
            self.webhooks.labels(state).set(number)

    def note_sandbox(self, layers: SandboxLayers) -> None:
        """Note what confines decoding processes."""
        for field in fields(layers):
            self.sandbox.labels(field.name).set(field.name not in layers.missing)

    def count(self, analyses: Mapping[str, int] | None, ready: bool, database: bool) -> None:
        """Note how many analyses there are, None if unknown, and what answers.

        What is unknown is told as not-a-number.
        """
        for status in STATUSES:
            number = math.nan if analyses is None else analyses.get(status, 0)
            self.analyses.labels(status).set(number)
        self.ready.set(ready)
        self.database.set(database)


class Metered:
    """Times every request of an application."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), "500"

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            operation = getattr(scope.get("route"), "operation_id", None) or "none"
            spent = time.perf_counter() - begun
            self._meters.requests.labels(operation, status).observe(spent)

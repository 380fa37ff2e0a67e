"""Spans: how long parts of the work take, for a tracer that may be installed.

Does: open spans, hand the current one to threads and to the model server.  Does not: record,
export, or import anything; without a tracer all of it costs next to nothing (see serve.telemetry
for one that speaks OpenTelemetry).

Attributes are ids, counts and codes, never content: no question, answer, file name, key or address.
"""

import contextvars
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

R = TypeVar("R")

Attribute = str | int | float | bool


class Tracer(Protocol):
    """Records spans."""

    def span(
        self, name: str, attributes: Mapping[str, Attribute], parent: Mapping[str, str]
    ) -> AbstractContextManager["Span"]:
        """Return a span that is current while its block runs.

        `parent`: headers of the caller that may name one; without them it is the current span.
        """
        ...

    def begin(self, name: str) -> Callable[[], None]:
        """Begin a child of the current span that is never current; return what ends it."""
        ...

    def headers(self) -> dict[str, str]:
        """Return the headers that name the current span to another server."""
        ...


class Span(Protocol):
    """A span that is under way."""

    def set(self, name: str, value: Attribute) -> None:
        """Add an attribute."""
        ...


class _NoSpan:
    def set(self, name: str, value: Attribute) -> None:
        """Do nothing."""


NO_SPAN = _NoSpan()
NO_PARENT: Mapping[str, str] = {}
_tracer: Tracer | None = None


def trace_with(tracer: Tracer | None) -> None:
    """Record spans of this process with `tracer` from now on; None: no more."""
    global _tracer
    _tracer = tracer


@contextmanager
def span(
    name: str, parent: Mapping[str, str] = NO_PARENT, **attributes: Attribute
) -> Iterator[Span]:
    """Time a block; an exception that leaves it marks the span as failed, by its code alone."""
    if _tracer is None:
        yield NO_SPAN
        return
    with _tracer.span(name, attributes, parent) as current:
        yield current


def begin(name: str) -> Callable[[], None]:
    """Begin a span that ends when the returned function is called the first time."""
    return (lambda: None) if _tracer is None else _tracer.begin(name)


def trace_headers() -> dict[str, str]:
    """Return the headers that name the current span; empty where none is recorded."""
    return {} if _tracer is None else _tracer.headers()


def in_this_context(function: Callable[..., R]) -> Callable[..., R]:
    """Return `function` for another thread, where the span that is current here will be too."""
    if _tracer is None:
        return function
    context = contextvars.copy_context()

    def run(*given: object) -> R:
        return context.copy().run(function, *given)  # one for each thread that runs it

    return run

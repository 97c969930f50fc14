"""OpenTelemetry spans of one process, each as a line of JSON on standard output, beside the logs.

Sampled by the share of traces that Settings says; batched, and sent over no network. A span holds names,
times and kinds of errors, and no words of users or models: not even those of an exception.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .bodies import bounded

P = ParamSpec("P")
T = TypeVar("T")
# Without a provider, as in tests, its spans do nothing.
TRACER = trace.get_tracer("service")
W3C = TraceContextTextMapPropagator()


def configure(node: str, ratio: float) -> None:
    """From now on write this share of the traces that begin here, and those that the caller has sampled."""
    # Imported on use: without tracing the process does not need it.
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    def line(span: ReadableSpan) -> str:
        return shown(span, node) + "\n"

    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=line)))
    trace.set_tracer_provider(provider)


def shown(span: object, node: str) -> str:
    """A finished span as JSON; times in ns since 1970."""
    told = json.loads(span.to_json(indent=None))  # type: ignore[attr-defined]
    return json.dumps(
        {
            "span": told["name"],
            "node": node,
            "trace_id": told["context"]["trace_id"].removeprefix("0x"),
            "span_id": told["context"]["span_id"].removeprefix("0x"),
            "parent_id": (told["parent_id"] or "").removeprefix("0x"),
            "begin_ns": span.start_time,  # type: ignore[attr-defined]
            "end_ns": span.end_time,  # type: ignore[attr-defined]
            "kind": told["kind"].removeprefix("SpanKind.").lower(),
            "error": told["status"].get("description"),
            **told["attributes"],
        }
    )


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, headers: Mapping[str, str] | None = None, **of: str
) -> Iterator[Span]:
    """Surround a piece of work; with `headers`, it belongs to the trace that their `traceparent` names."""
    context = None if headers is None else W3C.extract(headers)
    with TRACER.start_as_current_span(
        name, context, kind, of, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traced(
    name: str, kind: SpanKind = SpanKind.INTERNAL
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Each call of the decorated function is a span."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name, kind):
                return await function(*args, **kwargs)

        return call

    return decorate


def trace_of_span(made: Span) -> str | None:
    """The trace's id, 32 hex digits; None if there is none."""
    context = made.get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


async def inject(request: httpx.Request) -> None:
    """An httpx event hook: the request says in which trace it is made."""
    W3C.inject(request.headers)


def client(timeout: httpx.Timeout) -> httpx.AsyncClient:
    """An HTTP client that passes the trace on, and reads answers of a bounded size only."""
    return httpx.AsyncClient(
        timeout=timeout,
        follow_redirects=True,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [inject], "response": [bounded]},
    )

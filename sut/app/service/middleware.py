"""Around every request: trace id, metrics and one log line."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping

from opentelemetry.trace import Span, SpanKind
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import trace_id, trace_of
from .metrics import Metrics
from .tracing import span, trace_of_span

log = logging.getLogger("service.access")
QUIET = ("/health", "/metrics")


class Observed:
    """A plain ASGI middleware: it adds no task and no buffering to a stream."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other scopes pass through."""
        if scope["type"] != "http" or scope["path"].startswith(QUIET):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        parent = headers.get(b"traceparent", b"").decode("latin-1")
        with span("request", SpanKind.SERVER, {"traceparent": parent}) as made:
            trace_id.set(trace_of_span(made) or trace_of(parent))
            await self._observe(scope, receive, send, made)

    async def _observe(self, scope: Scope, receive: Receive, send: Send, made: Span) -> None:
        began, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-trace-id", trace_id.get().encode())]
            await send(message)

        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, sending)
        finally:
            took = time.monotonic() - began
            # The template, not the path: a session id must not become a label.
            route = getattr(scope.get("route"), "path", "other")
            made.update_name(f"{scope['method']} {route}")
            made.set_attribute("status", status)
            self.metrics.in_flight.dec()
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.latency.labels(route).observe(took)
            log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "ms": round(took * 1000, 1),
                },
            )


class Bounded:
    """Refuses with 413 a body that is longer than `limit` bytes, however it says that it is not.

    `larger` has other limits, by path.
    """

    def __init__(self, app: ASGIApp, limit: int = 65536, larger: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.limit = limit
        self.larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; the route meets the refusal where it reads the body."""
        read, limit = 0, self.larger.get(scope.get("path", ""), self.limit)

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, "the body is too long")
            return message

        await self.app(scope, receiving if scope["type"] == "http" else receive, send)


def sse(event: str, data: object) -> bytes:
    """One server-sent event with a JSON body."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def sorted_set(modes: Iterable[str]) -> list[str]:
    """A set of modes as the API shows it."""
    return sorted(set(modes))

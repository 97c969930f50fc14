"""Spans: one tree a request, passed on to providers, without anybody's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sut.app.service import tracing
from sut.app.service.api import make_app
from sut.app.service.metrics import Metrics
from sut.app.service.tracing import client, shown, span, traced

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported, as it is."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "TRACER", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_a_span_within_another_is_its_child_and_belongs_to_the_callers_trace(
    spans: InMemorySpanExporter,
) -> None:
    @traced("inner")
    async def inner() -> int:
        return 7

    with span("outer", headers=PARENT):
        assert asyncio.run(inner()) == 7
    child, parent = (json.loads(shown(each, "app-1")) for each in spans.get_finished_spans())
    assert (child["span"], parent["span"], child["node"]) == ("inner", "outer", "app-1")
    assert child["parent_id"] == parent["span_id"]
    assert child["trace_id"] == parent["trace_id"] == TRACE
    assert parent["parent_id"] == "b7ad6b7169203331"
    assert parent["begin_ns"] <= child["begin_ns"] <= child["end_ns"] <= parent["end_ns"]


def test_an_error_is_told_by_its_kind_and_not_by_its_words(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError), span("failing"):
        raise ValueError("private words")
    [failed] = spans.get_finished_spans()
    assert "private words" not in failed.to_json()
    assert json.loads(shown(failed, "app-1"))["error"] == "ValueError"


def test_a_provider_is_told_of_the_trace(spans: InMemorySpanExporter) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("traceparent", ""))
        return httpx.Response(200)

    async def ask() -> None:
        with span("asking", headers=PARENT) as made:
            asked = client(httpx.Timeout(1))
            asked._transport = httpx.MockTransport(answer)
            await asked.get("http://provider/")
            seen.append(f"{made.get_span_context().span_id:016x}")

    asyncio.run(ask())
    assert seen[0] == f"00-{TRACE}-{seen[1]}-01"


def test_a_request_is_a_span_named_by_its_route_and_its_logs_have_its_trace(
    spans: InMemorySpanExporter,
) -> None:
    app = make_app(Metrics())

    @app.get("/named/{name}")
    async def named(name: str) -> str:
        return name

    with TestClient(app) as http:
        answer = http.get("/named/private-words")
        assert http.get("/named/x", headers=PARENT).headers["x-trace-id"] == TRACE
    first = json.loads(shown(spans.get_finished_spans()[0], "app-1"))
    assert first["span"] == "GET /named/{name}"
    assert (first["status"], first["kind"]) == (200, "server")
    assert answer.headers["x-trace-id"] == first["trace_id"]
    assert "private-words" not in json.dumps(first)


def test_without_a_provider_a_request_has_a_trace_all_the_same() -> None:
    with TestClient(make_app(Metrics())) as http:
        one, two = (http.get("/none").headers["x-trace-id"] for _ in range(2))
    assert len(one) == 32 and one != two

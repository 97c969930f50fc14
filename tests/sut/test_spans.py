"""Spans of model provider and tool: one a call that is sampled, in the form of the service's own."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from blackstart.platforms.waiting import wait_for
from sut.app.service.tracing import shown
from sut.llm import spans
from sut.tool.server import Behaviour, Server

from .test_provider import serve

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))
SUT = Path(__file__).parents[2] / "sut"
CHAT = {"messages": [{"role": "user", "content": "private words"}], "model": "strong"}


def test_a_call_of_the_provider_is_a_span_of_its_callers_trace(capsys: pytest.CaptureFixture[str]) -> None:
    async def use(url: str, client: Any) -> None:
        for traceparent in (SAMPLED, UNSAMPLED, "", "00-garbage"):
            answer = await client.post(
                "/v1/chat/completions", json=CHAT, headers={"traceparent": traceparent}
            )
            await answer.read()

    serve(use)
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told.pop("begin_ns") <= told.pop("end_ns")
    assert len(told.pop("span_id")) == 16
    assert told == {
        "span": "POST /v1/chat/completions",
        "node": "llm-1",
        "trace_id": TRACE,
        "parent_id": PARENT,
        "kind": "server",
        "error": None,
        "model": "strong",
        "status": 200,
    }


def test_a_span_names_the_fault_that_the_call_met(capsys: pytest.CaptureFixture[str]) -> None:
    async def use(url: str, client: Any) -> None:
        rules = [{"fault": "error", "params": {"status": 529}}]
        await client.put("/admin/script/one", json={"rules": rules, "expires_s": 60})
        await (
            await client.post("/v1/embeddings", json={"input": "x"}, headers={"traceparent": SAMPLED})
        ).read()

    serve(use)
    told = json.loads(capsys.readouterr().out)
    assert (told["span"], told["fault"], told["status"]) == ("POST /v1/embeddings", "error", 529)


def test_a_call_that_is_given_up_is_a_span_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), spans.span("asked", "llm-1", SAMPLED):
        raise KeyboardInterrupt
    assert json.loads(capsys.readouterr().out)["error"] == "KeyboardInterrupt"


def test_a_search_is_a_span_too(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def lines() -> list[str] | None:
        said.append(capsys.readouterr().out)
        found = "".join(said).splitlines()
        return found if len(found) == 2 else None

    with Server(("127.0.0.1", 0), Behaviour("tool-1")) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/search?q=private"
        httpx.get(url)
        httpx.get(url, headers={"traceparent": SAMPLED})
        server.behaviour.fault, server.behaviour.ends = "error", float("inf")
        httpx.get(url, headers={"traceparent": SAMPLED})
        # A span is told once its answer has been sent.
        well, ill = map(json.loads, wait_for("two spans", lines, limit="5s"))
        server.shutdown()
    assert (well["span"], well["node"], well["trace_id"]) == ("GET /search", "tool-1", TRACE)
    assert ("fault" in well, ill["fault"]) == (False, "error")
    assert "private" not in "".join(said)


def test_the_form_is_that_of_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    made = TracerProvider().get_tracer("test").start_span("request")
    made.end()
    with spans.span("asked", "llm-1", SAMPLED):
        pass
    assert set(json.loads(shown(made, "app-1"))) == set(json.loads(capsys.readouterr().out))


def test_both_images_have_the_same() -> None:
    assert (SUT / "llm" / "spans.py").read_text() == (SUT / "tool" / "spans.py").read_text()

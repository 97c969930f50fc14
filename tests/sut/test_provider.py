"""The provider on the wire, seen through the clients that the service uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from langchain_core.messages import HumanMessage

from sut.app.service.breaker import Breaker
from sut.app.service.llm import DIMENSIONS, OpenAIEmbedder, chat_model, embeddings
from sut.llm.provider import Provider

from .fakes import models


def serve(use: Callable[[str, Any], Awaitable[None]], cheap: str = "") -> None:
    """Run `use(url, client)` against a provider of its own."""

    async def go() -> None:
        provider = Provider(node="llm-1", model="model-1", cheap=cheap, seed=1, latency=0, per_token=0)
        async with TestClient(TestServer(provider.app())) as client:
            await use(str(client.make_url("/v1")), client)

    asyncio.run(go())


def test_answers_are_the_same_whole_and_streamed_and_counted() -> None:
    async def use(url: str, client: Any) -> None:
        model = chat_model(url, "sample", 2.0)
        asking = models(model, model, timeout=2.0)
        pieces: list[str] = []
        whole = await asking.answer([HumanMessage("hi there")])
        streamed = await asking.answer([HumanMessage("hi there")], lambda _, text: pieces.append(text))
        assert whole == streamed
        assert "".join(pieces) == whole.text
        assert len(pieces) > 3
        assert whole.model == "model-1"
        assert whole.usage == streamed.usage, "a stream tells its usage too"
        assert whole.usage.completion == len(pieces)
        told = await (await client.get("/admin/requests")).json()
        assert [(e["path"], e["model"], e["stream"], e["asked"], e["fault"]) for e in told.pop("log")] == [
            ("/v1/chat/completions", "sample", False, "hi there", None),
            ("/v1/chat/completions", "sample", True, "hi there", None),
        ]
        assert told == {
            "node": "llm-1",
            "total": 2,
            "chat": 1,
            "chat_stream": 1,
            "embeddings": 0,
            "models": 0,
            "forgotten": 0,
            "struck": 0,
            "by_rule": {},
        }
        await client.post("/admin/reset")
        assert (await (await client.get("/admin/requests")).json())["total"] == 0

    serve(use)


def test_embeddings_are_deterministic_and_like_texts_are_near() -> None:
    async def use(url: str, client: Any) -> None:
        embedder = OpenAIEmbedder(embeddings(url, "sample", 2.0), Breaker("llm-primary"), timeout=2.0)
        near, base, far = await embedder.embed(
            ["refunds to the card", "refunds are paid to the card", "spare batteries for seven years"]
        )
        assert len(base) == DIMENSIONS
        assert abs(sum(value * value for value in base) - 1) < 1e-6
        assert [base] == await embedder.embed(["refunds are paid to the card"])

        def dot(one: list[float], two: list[float]) -> float:
            return sum(a * b for a, b in zip(one, two, strict=True))

        assert dot(near, base) > dot(far, base) + 0.2

    serve(use)


def test_a_malformed_request_is_answered_as_openai_would() -> None:
    async def use(url: str, client: Any) -> None:
        for path, body in (
            ("/v1/chat/completions", {"messages": []}),
            ("/v1/chat/completions", {"messages": ["hi"]}),
            ("/v1/chat/completions", []),
            ("/v1/embeddings", {"input": 3}),
            ("/v1/embeddings", {"input": "x", "dimensions": 100000}),
        ):
            answer = await client.post(path, json=body)
            assert answer.status == 400
            assert (await answer.json())["error"]["type"] == "invalid_request_error"

    serve(use)

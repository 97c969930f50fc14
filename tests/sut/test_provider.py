"""The provider on the wire, seen through the clients that the service uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from langchain_core.messages import HumanMessage

from sut.app.service.breaker import Breaker
from sut.app.service.embedding import (
    DIMENSIONS,
    OpenAIEmbedder,
    OtherSpace,
    Space,
    check,
    cosine,
    embeddings,
)
from sut.app.service.llm import PROVIDER_ERRORS, chat_model
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
        embedder = OpenAIEmbedder(embeddings(url), "sample", Breaker("embeddings"), timeout=2.0)
        first = await embedder.embed(
            ["refunds to the card", "refunds are paid to the card", "spare batteries for seven years"]
        )
        near, base, far = first.vectors
        assert len(base) == DIMENSIONS
        assert abs(sum(value * value for value in base) - 1) < 1e-6
        again = await embedder.embed(["refunds are paid to the card"])
        assert (again.vectors, again.canary, again.model) == ([base], first.canary, "sample")
        assert cosine(near, base) > cosine(far, base) + 0.2

    serve(use)


@pytest.mark.parametrize(
    ("fault", "params", "said"),
    [
        ("embeddings_space", {}, "another space"),
        ("embeddings_dimension", {"dimensions": 100}, "100 dimensions; the index has 64"),
        ("wrong_model", {"echo": "small-1"}, "of the model 'small-1'; the index has 'sample'"),
    ],
)
def test_vectors_that_do_not_belong_to_the_index_are_told_by_their_call_alone(
    fault: str, params: dict[str, Any], said: str
) -> None:
    async def use(url: str, client: Any) -> None:
        embedder = OpenAIEmbedder(embeddings(url), "sample", Breaker("embeddings"), timeout=2.0)
        begun = await embedder.embed(["one"])
        space = Space(begun.model, begun.canary)
        rule = {"fault": fault, "params": params, "endpoint": "embeddings", "calls": {"from": 2, "to": 2}}
        script = {"expires_s": 60, "rules": [rule]}
        assert (await client.put("/admin/script/t1", json=script)).status == 200
        check(await embedder.embed(["two"]), space)
        with pytest.raises(OtherSpace, match=said):
            check(await embedder.embed(["three"]), space)
        check(await embedder.embed(["four"]), space)

    serve(use)


@pytest.mark.parametrize("fault", ["malformed_json", "error", "cut", "hang"])
def test_embeddings_that_fail_raise_what_is_caught(fault: str) -> None:
    async def use(url: str, client: Any) -> None:
        embedder = OpenAIEmbedder(embeddings(url), "sample", Breaker("embeddings"), timeout=0.3)
        params: dict[str, dict[str, Any]] = {"error": {"status": 503}, "cut": {"chunks": 1}}
        rule = {"fault": fault, "params": params.get(fault, {}), "endpoint": "embeddings"}
        assert (await client.put("/admin/script/t1", json={"expires_s": 60, "rules": [rule]})).status == 200
        with pytest.raises(PROVIDER_ERRORS):
            await embedder.embed(["one"])
        assert (await (await client.get("/admin/requests")).json())["embeddings"] == 1

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

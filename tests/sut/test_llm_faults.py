"""Each wire fault of a provider, met by the client that the service uses, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from sut.app.service.answers import blamed
from sut.app.service.breaker import Breaker, State
from sut.app.service.embedding import OpenAIEmbedder, embeddings
from sut.app.service.errors import Refusal
from sut.app.service.llm import Models, chat_model

from .fakes import FakeModel, target
from .test_provider import serve

ELSEWHERE: Any = "elsewhere"
FAULTS: dict[str, tuple[dict[str, Any], Any]] = {
    "error": ({"status": 500}, ELSEWHERE),
    "rate_limit": ({"retry_after_s": 9}, ELSEWHERE),
    "quota": ({}, ELSEWHERE),
    "hang": ({}, ELSEWHERE),
    "slow_first_token": ({"delay_s": 60}, ELSEWHERE),
    "cut": ({"chunks": 3}, ELSEWHERE),
    "unfinished": ({"chunks": 3}, ELSEWHERE),
    "malformed_json": ({}, ELSEWHERE),
    "malformed_tool_call": ({}, ELSEWHERE),
    "empty": ({}, ELSEWHERE),
    "context_length": ({}, 413),
    "content_filter": ({"chunks": 2}, 422),
    "refusal": ({}, "I can't help with that."),
    "wrong_model": ({}, None),
}
STREAMED: dict[str, tuple[dict[str, Any], Any]] = {
    "malformed_sse": ({}, ELSEWHERE),
    "duplicate_chunk": ({}, None),
}
CASES = [(name, streamed) for name in FAULTS for streamed in (False, True)] + [(n, True) for n in STREAMED]


@pytest.mark.parametrize(("fault", "streamed"), CASES)
def test_a_fault_ends_in_one_coherent_answer_or_an_explicit_refusal(fault: str, streamed: bool) -> None:
    params, outcome = {**FAULTS, **STREAMED}[fault]

    async def use(url: str, client: Any) -> None:
        rule = {"fault": fault, "params": params, "endpoint": "chat"}
        await client.put("/admin/script/one", json={"rules": [rule], "expires_s": 60})
        breaker = Breaker("llm-primary", failures=1, open_s=60, blame=blamed)
        primary = target(chat_model(url, "model", 1.0), breaker=breaker, name="model")
        fallback = target(FakeModel("model-2", text="well met"), "fallback")
        models = Models([primary, fallback], timeout=1.0)
        said: list[str] = []

        def emit(event: str, text: str) -> None:
            said.append(text) if event == "token" else said.clear()

        asked = models.answer([HumanMessage("hi")], emit if streamed else None)
        if isinstance(outcome, int):
            with pytest.raises(Refusal) as caught:
                await asked
            assert caught.value.status == outcome
            assert breaker.state is State.CLOSED, "it is not the provider's fault"
            return
        found = await asked
        elsewhere = outcome == ELSEWHERE
        assert (breaker.state is State.OPEN) == elsewhere
        assert found.fallback == (elsewhere or fault == "wrong_model")
        assert found.declined == (fault == "refusal")
        if elsewhere:
            assert found.text == ("wellmet" if streamed else "well met")
        elif outcome:
            assert found.text == outcome
        if streamed:
            assert "".join(said) == found.text, "what the client saw is what is stored"
        told = await (await client.get("/admin/requests")).json()
        assert told["struck"] == 1, "asked once"

    serve(use)


def test_a_text_too_long_to_embed_does_not_open_the_breaker_and_a_429_holds_it() -> None:
    async def use(url: str, client: Any) -> None:
        breaker = Breaker("llm-primary", failures=1, open_s=1, blame=blamed)
        embedder = OpenAIEmbedder(embeddings(url), "model", breaker, timeout=1.0)
        for fault, params in (("context_length", {}), ("rate_limit", {"retry_after_s": 30})):
            assert breaker.state is State.CLOSED
            script = {"rules": [{"fault": fault, "params": params}], "expires_s": 60}
            await client.put("/admin/script/one", json=script)
            with pytest.raises(Exception, match=r"context length|Rate limit"):
                await embedder.embed(["hi"])
        assert breaker.wait_s > 25

    serve(use)


def test_the_cheap_model_answers_in_its_own_name() -> None:
    async def use(url: str, client: Any) -> None:
        for asked, name in (("mini", "mini-llm-1"), ("model", "model-1")):
            models = Models([target(chat_model(url, asked, 1.0), name=asked)], timeout=1.0)
            found = await models.answer([HumanMessage("hi")])
            assert (found.model, found.fallback) == (name, False)

    serve(use, cheap="mini")

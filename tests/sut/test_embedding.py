"""Whose vectors are refused, and when a provider is not asked at all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import openai
import pytest

from sut.app.service.answers import blamed
from sut.app.service.breaker import Breaker, BreakerOpen, State
from sut.app.service.deadline import HEADER, narrowed
from sut.app.service.embedding import (
    CANARY,
    DIMENSIONS,
    Embedded,
    OpenAIEmbedder,
    OtherSpace,
    Space,
    check,
    cosine,
    parse_vector,
    vector_text,
)
from sut.app.service.errors import CutShort


def axis(number: int, length: int = DIMENSIONS) -> list[float]:
    """A unit vector."""
    return [1.0 if index == number else 0.0 for index in range(length)]


INDEX = Space("m-1", axis(0))


class Provider:
    """Answers with one vector a text; counts how often it was asked."""

    def __init__(self, *vectors: list[Any], hangs: bool = False) -> None:
        self.given = vectors
        self.hangs = hangs
        self.options: list[dict[str, Any]] = []
        self.inputs: list[list[str]] = []
        self.embeddings = self

    async def create(self, *, input: list[str], **options: Any) -> SimpleNamespace:
        """As the client's `embeddings.create`."""
        self.inputs.append(input)
        self.options.append(options)
        if self.hangs:
            await asyncio.Event().wait()
        data = [SimpleNamespace(embedding=vector) for vector in self.given or [axis(0)] * len(input)]
        return SimpleNamespace(model="m-1", data=data)


def embedder(provider: Provider, breaker: Breaker, timeout: float = 1.0) -> OpenAIEmbedder:
    return OpenAIEmbedder(cast(openai.AsyncOpenAI, provider), "m-1", breaker, timeout=timeout)


def test_vectors_of_the_index_are_let_through_though_a_little_different() -> None:
    near = axis(0)
    near[1] = 0.05
    check(Embedded("m-1", near, [axis(1)]), INDEX)


@pytest.mark.parametrize(
    ("fresh", "said"),
    [
        (Embedded("m-1", axis(0, 100), []), "100 dimensions; the index has 64"),
        (Embedded("m-2", axis(0), []), "'m-2'; the index has 'm-1'"),
        (Embedded("m-1", axis(1), []), "another space"),
        (Embedded("m-1", [-value for value in axis(0)], []), "another space"),
        (Embedded("m-1", [0.0] * DIMENSIONS, []), "another space"),
    ],
    ids=["dimension", "model", "orthogonal", "mirrored", "nothing"],
)
def test_other_vectors_are_refused_with_the_reason(fresh: Embedded, said: str) -> None:
    with pytest.raises(OtherSpace, match=said):
        check(fresh, INDEX)


def test_the_canary_goes_with_every_call() -> None:
    provider = Provider(axis(0), axis(1), axis(2))
    found = asyncio.run(embedder(provider, Breaker("embeddings")).embed(["one", "two"]))
    assert provider.inputs == [[CANARY, "one", "two"]]
    assert found == Embedded("m-1", axis(0), [axis(1), axis(2)])


@pytest.mark.parametrize(
    "vectors",
    [
        [axis(0)],
        [axis(0), axis(0, 100)],
        [axis(0), [float("nan")] * DIMENSIONS],
        [axis(0), ["word"] * DIMENSIONS],
    ],
    ids=["too few", "of several dimensions", "not a number", "no number"],
)
def test_a_malformed_answer_is_a_failure_of_the_embeddings(vectors: list[list[Any]]) -> None:
    breaker = Breaker("embeddings", failures=1)
    with pytest.raises(ValueError):
        asyncio.run(embedder(Provider(*vectors), breaker).embed(["one"]))
    assert breaker.state is State.OPEN


def test_an_open_breaker_spares_the_provider() -> None:
    provider = Provider(axis(0))
    asked = embedder(provider, Breaker("embeddings", failures=1, open_s=60))
    with pytest.raises(ValueError):
        asyncio.run(asked.embed(["one"]))
    with pytest.raises(BreakerOpen):
        asyncio.run(asked.embed(["one"]))
    assert len(provider.inputs) == 1


@pytest.mark.parametrize(
    ("left", "error", "state"), [(60.0, TimeoutError, State.OPEN), (0.05, CutShort, State.CLOSED)]
)
def test_a_provider_has_its_own_time_or_the_callers_which_is_not_held_against_it(
    left: float, error: type[Exception], state: State
) -> None:
    provider = Provider(hangs=True)
    breaker = Breaker("embeddings", failures=1, blame=blamed)

    async def go() -> None:
        with narrowed(left), pytest.raises(error):
            await embedder(provider, breaker, timeout=0.2).embed(["one"])

    asyncio.run(go())
    assert breaker.state is state
    [options] = provider.options
    assert options["timeout"] == pytest.approx(min(left, 0.2), abs=0.02)
    assert int(options["extra_headers"][HEADER]) == int(options["timeout"] * 1000)


def test_vectors_are_read_as_they_are_written() -> None:
    assert parse_vector(vector_text([0.5, -1.0])) == [0.5, -1.0]
    assert cosine([0.0, 2.0], [0.0, 0.5]) == 1.0

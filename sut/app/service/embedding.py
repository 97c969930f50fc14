"""Vectors of texts, and whether they belong to the index's space.

Distances between the spaces of two models mean nothing, and a wrong vector looks like a right one: a provider
may name another model, answer in another dimension, or answer in another space under the same name. So
every call embeds a canary beside the texts, and its fresh vector must be near the one that the index was
begun with. That proves each batch, not the provider at some earlier time, and costs one short text a call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httpx
import openai
from opentelemetry.trace import SpanKind

from . import deadline
from .breaker import Breaker
from .retries import retry_after
from .tracing import client, traced

DIMENSIONS = 64  # of the index's column
CANARY = "The quick brown fox jumps over the lazy dog."
# Providers answer the same text with slightly different vectors; those of unrelated spaces are orthogonal.
NEAR = 0.99


class OtherSpace(Exception):
    """The vectors are not of the index's space; its text says why and is safe to show."""


@dataclass(frozen=True)
class Embedded:
    """One vector a text, the canary's of the same call, and the model that the provider says it was."""

    model: str
    canary: list[float]
    vectors: list[list[float]]


@dataclass(frozen=True)
class Space:
    """What the index was begun with: the model as its provider named it, and the canary's vector."""

    model: str
    canary: list[float]


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """One vector a text, all of one dimension; raises one of llm.PROVIDER_ERRORS."""


class OpenAIEmbedder:
    """Embeddings of one provider, asked once a call, behind a breaker."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        breaker: Breaker,
        *,
        timeout: float,
    ) -> None:
        self._client = client
        self._model = model
        self._breaker = breaker
        self._timeout = timeout

    @traced("llm embed", SpanKind.CLIENT)
    async def embed(self, texts: Sequence[str]) -> Embedded:
        """As Embedder; a malformed answer is an error too."""
        try:
            return await self._embed(texts)
        except openai.APIStatusError as error:
            self._breaker.hold(retry_after(error.response.headers))
            raise

    async def _embed(self, texts: Sequence[str]) -> Embedded:
        with self._breaker.guard():
            async with deadline.allowed(self._timeout) as seconds:
                answer = await self._client.embeddings.create(
                    model=self._model,
                    input=[CANARY, *texts],
                    dimensions=DIMENSIONS,
                    encoding_format="float",
                    timeout=seconds,
                    extra_headers={deadline.HEADER: str(int(seconds * 1000))},
                )
            vectors = [[float(value) for value in item.embedding] for item in answer.data]
            if len(vectors) != len(texts) + 1 or len({len(vector) for vector in vectors}) != 1:
                raise ValueError("not one vector a text, or of several dimensions")
            if not all(math.isfinite(value) for vector in vectors for value in vector):
                raise ValueError("a vector with a value that is no number")
            return Embedded(str(answer.model), vectors[0], vectors[1:])


def embeddings(url: str) -> openai.AsyncOpenAI:
    """A client that never retries by itself; how long it waits is each call's."""
    # Its types know only the newer library's client; it takes either.
    http = cast(Any, client(httpx.Timeout(None)))
    return openai.AsyncOpenAI(base_url=url, api_key="sample", max_retries=0, http_client=http)


def check_dimension(fresh: Embedded) -> None:
    """Raise OtherSpace unless the vectors fit the index's column."""
    if len(fresh.canary) != DIMENSIONS:
        raise OtherSpace(f"embeddings of {len(fresh.canary)} dimensions; the index has {DIMENSIONS}")


def check(fresh: Embedded, space: Space) -> None:
    """Raise OtherSpace unless the vectors are of the index's dimension, model and space."""
    check_dimension(fresh)
    if fresh.model != space.model:
        raise OtherSpace(f"embeddings of the model {fresh.model[:80]!r}; the index has {space.model!r}")
    near = cosine(fresh.canary, space.canary)
    if near < NEAR:
        raise OtherSpace(
            f"embeddings from another space than the index's: the canary's cosine similarity is {near:.2f}"
        )


def cosine(one: Sequence[float], two: Sequence[float]) -> float:
    """The cosine similarity of two vectors of one dimension; 0 if either has no length."""
    lengths = math.hypot(*one) * math.hypot(*two)
    return sum(a * b for a, b in zip(one, two, strict=True)) / lengths if lengths else 0.0


def vector_text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"


def parse_vector(text: str) -> list[float]:
    """A vector as pgvector writes it."""
    return [float(value) for value in json.loads(text)]

"""Documents near a question, by pgvector."""

from __future__ import annotations

import asyncio
from typing import Protocol

import psycopg

from .database import Pool
from .llm import PROVIDER_ERRORS, Embedder, vector_text


class RetrievalUnavailable(Exception):
    """No vector for the question, no database, or no document yet."""


class Retriever(Protocol):
    """What the graph asks of retrieval."""

    async def search(self, question: str) -> list[str]:
        """The nearest documents, nearest first; raises RetrievalUnavailable."""


class VectorRetriever:
    """Searches only vectors of the question's own model: distances between two spaces mean nothing."""

    def __init__(self, pool: Pool, embedder: Embedder, *, timeout: float, count: int = 2) -> None:
        self._pool = pool
        self._embedder = embedder
        self._timeout = timeout
        self._count = count

    async def search(self, question: str) -> list[str]:
        """The nearest documents; raises RetrievalUnavailable."""
        try:
            [vector] = await self._embedder.embed([question])
            async with (
                asyncio.timeout(self._timeout),
                self._pool.connection(timeout=self._timeout) as conn,
            ):
                cursor = await conn.execute(
                    "SELECT content FROM documents WHERE model = %s"
                    " ORDER BY embedding <=> %s::vector LIMIT %s",
                    (self._embedder.model, vector_text(vector), self._count),
                )
                found = [row["content"] for row in await cursor.fetchall()]
        except (*PROVIDER_ERRORS, psycopg.Error) as error:
            raise RetrievalUnavailable(type(error).__name__) from error
        if not found:
            raise RetrievalUnavailable("no document has a vector of this model yet")
        return found

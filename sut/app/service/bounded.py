"""Retrieval and ingestion, each behind its bulkhead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .bulkhead import Bulkhead
from .errors import NotAsked, Refusal
from .ingest import Document, Ingester
from .retrieval import Found, RetrievalUnavailable, Retriever


@dataclass(frozen=True)
class BoundedRetriever:
    """A retriever behind its bulkhead; `timeout` seconds in all, the wait for a place included.

    Where it is not `optional`, its failure is the turn's: what a service does that forgot to catch it.
    """

    inner: Retriever
    bulkhead: Bulkhead
    timeout: float
    optional: bool = True

    async def search(self, question: str, subject: str) -> Found:
        """As Retriever."""
        try:
            async with asyncio.timeout(self.timeout), self.bulkhead.enter():
                return await self.inner.search(question, subject)
        except (NotAsked, TimeoutError, RetrievalUnavailable) as error:
            if not self.optional:
                raise Refusal(503, "no documents can be found", retry_after=1) from error
            if isinstance(error, RetrievalUnavailable):
                raise
            raise RetrievalUnavailable(type(error).__name__) from error


@dataclass(frozen=True)
class BoundedIngester:
    """An ingester behind its bulkhead, so that it never holds all the connections that searches need."""

    inner: Ingester
    bulkhead: Bulkhead

    async def ingest(self, subject: str, documents: Sequence[Document]) -> int:
        """As Ingester; raises Refusal 503 also while too many others take documents in."""
        try:
            async with self.bulkhead.enter():
                return await self.inner.ingest(subject, documents)
        except NotAsked as error:
            reason = "too many documents are being taken in"
            raise Refusal(503, reason, retry_after=1, not_applied=True) from error

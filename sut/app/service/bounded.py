"""Retrieval behind its bulkhead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .bulkhead import Bulkhead
from .errors import NotAsked, Refusal
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

"""Retrieval behind its bulkhead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .bulkhead import Bulkhead
from .errors import NotAsked
from .retrieval import Found, RetrievalUnavailable, Retriever


@dataclass(frozen=True)
class BoundedRetriever:
    """A retriever behind its bulkhead; `timeout` seconds in all, the wait for a place included."""

    inner: Retriever
    bulkhead: Bulkhead
    timeout: float

    async def search(self, question: str, subject: str) -> Found:
        """As Retriever."""
        try:
            async with asyncio.timeout(self.timeout), self.bulkhead.enter():
                return await self.inner.search(question, subject)
        except (NotAsked, TimeoutError) as error:
            raise RetrievalUnavailable(type(error).__name__) from error

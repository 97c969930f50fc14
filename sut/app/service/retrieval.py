"""Documents near a question, by pgvector: from the standby, or else from the primary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .content import PLAIN, Box
from .database import UNUSABLE, Pool
from .embedding import (
    Embedded,
    Embedder,
    OtherSpace,
    Space,
    check,
    check_dimension,
    parse_vector,
    vector_text,
)
from .freshness import Watermarks
from .ingest import opened
from .llm import PROVIDER_ERRORS

log = logging.getLogger(__name__)


# One round trip: the documents, the space of their index, and how far a standby has replayed.
SEARCH = """
SELECT space.model, space.canary::text AS canary,
    CASE WHEN pg_is_in_recovery()
         THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END AS replayed,
    ARRAY(
        SELECT content FROM documents
        WHERE model = space.model AND (owner IS NULL OR owner = %(subject)s)
        ORDER BY embedding <=> %(vector)s::vector LIMIT %(count)s
    ) AS found
FROM (SELECT) AS always LEFT JOIN embedding_space AS space ON true
"""


class RetrievalUnavailable(Exception):
    """No vector for the question, one from another space, no database, or no document that can be read."""


@dataclass(frozen=True)
class Found:
    """The nearest documents, nearest first; `stale` if they come from a standby that is too far behind."""

    texts: tuple[str, ...]
    stale: bool = False


class Retriever(Protocol):
    """What the graph asks of retrieval."""

    async def search(self, question: str, subject: str) -> Found:
        """Documents that `subject` may see; raises RetrievalUnavailable."""


class VectorRetriever:
    """Asks each pool in turn, `timeout` seconds each; a lag of more than `stale_after` seconds is stale."""

    def __init__(
        self,
        pools: Sequence[Pool],
        embedder: Embedder,
        watermarks: Watermarks,
        *,
        timeout: float,
        stale_after: float,
        one_space: bool = True,
        count: int = 2,
        box: Box = PLAIN,
    ) -> None:
        self._pools = pools
        self._embedder = embedder
        self._watermarks = watermarks
        self._timeout = timeout
        self._stale_after = stale_after
        self._one_space = one_space
        self._count = count
        self._box = box

    async def search(self, question: str, subject: str) -> Found:
        """As Retriever."""
        try:
            fresh = await self._embedder.embed([question])
            check_dimension(fresh)
            row = await self._ask(fresh, subject)
            if not row["found"]:
                raise RetrievalUnavailable("no document has a vector yet")
            if self._one_space:
                check(fresh, Space(row["model"], parse_vector(row["canary"])))
        except OtherSpace as error:
            log.error("embeddings refused", extra={"reason": str(error)})
            raise RetrievalUnavailable(str(error)) from error
        except (*PROVIDER_ERRORS, *UNUSABLE) as error:
            raise RetrievalUnavailable(type(error).__name__) from error
        replayed = row["replayed"]
        lag = 0.0 if replayed is None else self._watermarks.lag(replayed)
        texts = [text for stored in row["found"] if (text := opened(self._box, stored)) is not None]
        if not texts:
            raise RetrievalUnavailable("no key opens the documents")
        return Found(tuple(texts), stale=lag > self._stale_after)

    async def _ask(self, fresh: Embedded, subject: str) -> dict[str, Any]:
        given = {"subject": subject, "vector": vector_text(fresh.vectors[0]), "count": self._count}
        for pool in self._pools[:-1]:
            try:
                return await self._ask_one(pool, given)
            except UNUSABLE as error:
                log.warning("the next database is asked", extra={"error": type(error).__name__})
        return await self._ask_one(self._pools[-1], given)

    async def _ask_one(self, pool: Pool, given: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(self._timeout), pool.connection(timeout=self._timeout) as conn:
            row = await (await conn.execute(SEARCH, given)).fetchone()
        assert row is not None, "the statement always gives one row"
        return row

"""Documents taken in: embedded, checked to be of the index's space, written in one transaction.

The first batch ever begins the index: its model and canary become the index's space, the one row of
`embedding_space`. To move to another model: delete that row, set `embedding` and `model` of every document
to NULL, and restart. Contents are sealed as all else that users say; their vectors, which must be searched,
are not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from .content import PLAIN, Box, Unreadable
from .database import UNUSABLE, Connection, Pool
from .deadline import OVER, current, over
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
from .errors import CutShort, Refusal
from .llm import PROVIDER_ERRORS

log = logging.getLogger(__name__)

TABLES = """
ALTER TABLE documents ADD COLUMN IF NOT EXISTS owner text, ADD COLUMN IF NOT EXISTS name text;
CREATE UNIQUE INDEX IF NOT EXISTS documents_by_name ON documents (owner, name);
CREATE TABLE IF NOT EXISTS embedding_space (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), model text NOT NULL, canary vector(64) NOT NULL);
"""
KNOWN = """
SELECT name, content FROM documents WHERE owner = %s AND name = ANY(%s) AND embedding IS NOT NULL
"""
WRITE = """
INSERT INTO documents (owner, name, content, embedding, model) VALUES (%s, %s, %s, %s::vector, %s)
ON CONFLICT (owner, name) DO UPDATE
SET content = excluded.content, embedding = excluded.embedding, model = excluded.model
"""
BARE = "SELECT id, content FROM documents WHERE embedding IS NULL ORDER BY id LIMIT 100"
# Not over what was taken in meanwhile: the vector is that of the content before.
COMPLETE = "UPDATE documents SET embedding = %s::vector, model = %s WHERE id = %s AND embedding IS NULL"


@dataclass(frozen=True)
class Document:
    """A text by the name that its owner gave it."""

    id: str
    content: str


@dataclass(frozen=True)
class Ingester:
    """Writes documents of a user, whom alone they are shown to, sealed; `deadline` in seconds.

    The same document again changes nothing, a new content replaces the old one: repeating is always safe.
    """

    pool: Pool
    embedder: Embedder
    deadline: float
    one_space: bool = True
    box: Box = PLAIN

    async def ingest(self, subject: str, documents: Sequence[Document]) -> int:
        """How many were new or changed. All are written or none; raises Refusal 502, 503 or 504."""
        sent = False
        try:
            async with asyncio.timeout_at(current(self.deadline).ends):
                changed = await self._changed(subject, documents)
                if not changed:
                    return 0
                # Without a connection: a slow provider must not hold up those who only need the database.
                fresh = await self._embed([document.content for document in changed])
                rows = [
                    (subject, each.id, self.box.seal(each.content), vector_text(vector), fresh.model)
                    for each, vector in zip(changed, fresh.vectors, strict=True)
                ]
                async with self.pool.connection(timeout=1.0) as conn, conn.transaction():
                    await admit_space(conn, fresh, one_space=self.one_space)
                    async with conn.cursor() as cursor:
                        sent = True
                        await cursor.executemany(WRITE, rows)
                return len(changed)
        except OtherSpace as error:
            log.error("embeddings refused", extra={"reason": str(error)})
            raise Refusal(502, str(error), not_applied=True) from error
        except UNUSABLE as error:
            log.warning("documents not taken in", extra={"error": type(error).__name__})
            if over():
                raise Refusal(504, OVER, not_applied=not sent) from error
            raise Refusal(503, "the database does not answer", retry_after=1, not_applied=not sent) from error

    async def _changed(self, subject: str, documents: Sequence[Document]) -> list[Document]:
        async with self.pool.connection(timeout=1.0) as conn:
            rows = await (await conn.execute(KNOWN, (subject, [d.id for d in documents]))).fetchall()
        # Compared here: the same content sealed again is another text.
        known = {row["name"]: opened(self.box, row["content"]) for row in rows}
        return [document for document in documents if known.get(document.id) != document.content]

    async def _embed(self, texts: Sequence[str]) -> Embedded:
        try:
            fresh = await self.embedder.embed(texts)
        except CutShort as error:
            raise Refusal(504, OVER, not_applied=True) from error
        except PROVIDER_ERRORS as error:
            log.warning("documents not embedded", extra={"error": type(error).__name__})
            raise Refusal(503, "the embeddings do not answer", retry_after=2, not_applied=True) from error
        check_dimension(fresh)
        return fresh


async def admit_space(conn: Connection, fresh: Embedded, *, one_space: bool = True) -> None:
    """Begin the index with these vectors, or raise OtherSpace unless they are of its space.

    Call in the transaction that writes them.
    """
    check_dimension(fresh)
    await conn.execute(
        "INSERT INTO embedding_space (model, canary) VALUES (%s, %s::vector) ON CONFLICT DO NOTHING",
        (fresh.model, vector_text(fresh.canary)),
    )
    cursor = await conn.execute("SELECT model, canary::text AS canary FROM embedding_space FOR SHARE")
    row = await cursor.fetchone()
    if row is None:
        raise OtherSpace("the index was given up in this moment")
    if one_space:
        check(fresh, Space(row["model"], parse_vector(row["canary"])))


async def embed_documents(pool: Pool, embedder: Embedder, box: Box = PLAIN) -> bool:
    """Give every document its vector; False while some have none.

    What no key opens is left without. Raises OtherSpace, PROVIDER_ERRORS or UNUSABLE.
    """
    async with pool.connection(timeout=1.0) as conn:
        rows = await (await conn.execute(BARE)).fetchall()
    found = [(row["id"], content) for row in rows if (content := opened(box, row["content"])) is not None]
    if not found:
        return True
    # Without a connection, as in `Ingester`: here it would be the only one of those who look for readiness.
    fresh = await embedder.embed([content for _, content in found])
    given = [
        (vector_text(vector), fresh.model, id) for vector, (id, _) in zip(fresh.vectors, found, strict=True)
    ]
    async with pool.connection(timeout=1.0) as conn, conn.transaction(), conn.cursor() as cursor:
        await admit_space(conn, fresh)
        await cursor.executemany(COMPLETE, given)
    return False


def opened(box: Box, stored: str) -> str | None:
    """A document's content; None, with a word in the log, if no key opens it any more."""
    try:
        return box.open(stored)
    except Unreadable:
        log.error("a document cannot be read: no key opens it")
        return None

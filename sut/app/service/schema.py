"""The tables, made by whichever replica comes first.

`turns` has no unique constraint on (session, id) on purpose: duplicates are prevented by the session's lock
and a look-up under it (module `turns`), and a drill that breaks this mechanism must be able to see them.
"""

from __future__ import annotations

import logging

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from . import ingest, jobs
from .database import Connection
from .documents import DOCUMENTS

log = logging.getLogger(__name__)
VERSION = 5
LOCK = 0x626C61636B  # any constant: "black"

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS sessions (
    session text PRIMARY KEY, sub text NOT NULL, touched timestamptz NOT NULL DEFAULT now());
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS prompt_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS completion_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cost_micros bigint NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS sessions_by_touched ON sessions (touched);
CREATE TABLE IF NOT EXISTS admissions (
    session text NOT NULL, id text NOT NULL, message text NOT NULL, trace_id text NOT NULL,
    admitted_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE admissions ADD COLUMN IF NOT EXISTS billed boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS admissions_by_id ON admissions (session, id);
CREATE TABLE IF NOT EXISTS turns (
    seq bigint GENERATED ALWAYS AS IDENTITY, session text NOT NULL, id text NOT NULL,
    message text NOT NULL, answer text NOT NULL, degraded text[] NOT NULL, model text NOT NULL,
    replica text NOT NULL, trace_id text NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS turns_by_session ON turns (session, seq);
CREATE TABLE IF NOT EXISTS documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text NOT NULL,
    embedding vector(64), model text);
CREATE TABLE IF NOT EXISTS app_schema (version int PRIMARY KEY);
"""


async def ensure_schema(conn: Connection) -> bool:
    """Make what is missing; False if another replica is at it. Raises psycopg.Error when it cannot."""
    if await _version(conn) == VERSION:
        return True
    # Tried, not waited for: a waiting statement holds a snapshot, and the saver's CREATE INDEX CONCURRENTLY
    # waits for every snapshot to end, so the two would wait for each other.
    row = await (await conn.execute("SELECT pg_try_advisory_lock(%s) AS mine", (LOCK,))).fetchone()
    if row is None or not row["mine"]:
        return False
    try:
        if await _version(conn) != VERSION:
            await conn.execute(TABLES)
            await conn.execute(ingest.TABLES)
            await conn.execute(jobs.TABLES)
            await AsyncPostgresSaver(conn).setup()
            async with conn.transaction():
                await conn.execute("LOCK TABLE documents IN EXCLUSIVE MODE")
                await conn.execute(
                    "INSERT INTO documents (content) SELECT unnest(%s::text[])"
                    " WHERE NOT EXISTS (SELECT 1 FROM documents)",
                    (list(DOCUMENTS),),
                )
                await conn.execute("INSERT INTO app_schema VALUES (%s) ON CONFLICT DO NOTHING", (VERSION,))
            log.info("schema made", extra={"version": VERSION})
    finally:
        if not conn.closed:
            await conn.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    return True


async def _version(conn: Connection) -> int | None:
    row = await (await conn.execute("SELECT to_regclass('app_schema') IS NOT NULL AS made")).fetchone()
    if row is None or not row["made"]:
        return None
    row = await (await conn.execute("SELECT max(version) AS version FROM app_schema")).fetchone()
    return row["version"] if row else None

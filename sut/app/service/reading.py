"""Reads of a session: from the primary, or, while it does not answer, from the standby and declared so."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import psycopg
from psycopg_pool import TooManyRequests

from . import turns
from .content import PLAIN, Box
from .database import CROWDED, UNUSABLE, Pool
from .errors import Refusal
from .state import LISTED

log = logging.getLogger(__name__)


async def read_session(
    primary: Pool,
    standby: Pool | None,
    session: str,
    subject: str,
    box: Box = PLAIN,
    *,
    deadline: float,
    patience: float = 1.0,
    limit: int = LISTED,
) -> dict[str, Any]:
    """The session's last `limit` turns and `degraded`, a list that may hold read-only.

    Raises Refusal or Unreadable.

    Asks the primary for `patience` seconds, the standby for half as long, then the primary until `deadline`
    seconds. The patience leaves time for the standby before a client gives up. The primary comes last once
    more: in a failover the standby is gone, because it is about to be the primary.
    """
    ways: list[tuple[Pool, float, list[str]]] = [(primary, patience, [])]
    if standby is not None:
        ways.append((standby, patience / 2, ["read-only"]))
    try:
        async with asyncio.timeout(deadline):
            for pool, wait, degraded in ways:
                try:
                    return {**await _read(pool, wait, session, subject, box, limit), "degraded": degraded}
                except TooManyRequests:
                    # The primary is well: what the standby has may be older, and would be for nothing.
                    raise
                except UNUSABLE as error:
                    log.warning("the session is read elsewhere", extra={"error": type(error).__name__})
            return {**await _read(primary, deadline, session, subject, box, limit), "degraded": []}
    except TooManyRequests as error:
        raise Refusal(503, CROWDED, retry_after=1) from error
    except UNUSABLE as error:
        raise Refusal(503, "the database does not answer", retry_after=1) from error


async def _read(pool: Pool, wait: float, session: str, subject: str, box: Box, limit: int) -> dict[str, Any]:
    async with asyncio.timeout(wait), pool.connection(timeout=wait) as conn:
        try:
            return await turns.read_session(conn, session, subject, box, limit)
        except psycopg.Error:
            await conn.close()
            raise

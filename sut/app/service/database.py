"""Connections to Postgres that never outlive their usefulness.

A pooled connection is given out only if its server accepts writes: after a failover an old connection may
still answer `SELECT 1` from a standby. A wait that is abandoned closes the connection instead of cancelling
the statement: cancelling a commit's wait for the standby would report a commit that may yet be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Self, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, AsyncNullConnectionPool, PoolTimeout, TooManyRequests
from psycopg_pool.base import AttemptWithBackoff

from .errors import Broken

RV = TypeVar("RV")
Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

CONNECT: Mapping[str, Any] = {
    "client_encoding": "utf8",
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    # An advisory lock is waited for no longer than a client would wait for its answer.
    "options": "-c lock_timeout=2500 -c idle_in_transaction_session_timeout=5000",
}

# psycopg_pool waits 1, 2, 4 ... s between attempts, after a broken connection even while a client waits for
# one: that alone would double the recovery time of a failover. The delays cannot be passed as arguments.
# Not shorter: an attempt costs 25 ms of processor time (names, TLS), and every process has several pools.
AttemptWithBackoff.INITIAL_DELAY = 0.3
AttemptWithBackoff.DELAY_BACKOFF = 1.5

# Errors that say "this connection, or this server, is of no use any more".
TROUBLE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, Broken)
# What may come of asking a server for anything.
UNUSABLE = (*TROUBLE, psycopg.Error, PoolTimeout, TimeoutError)


#: Requests that may wait for each connection of a pool, far more than in a failover. Others hear CROWDED at
#: once: a line that is longer is worked off when nobody waits for it any more.
WAITING = 8
CROWDED = "too many requests wait for the database"

#: Seconds between two attempts of a process to reach a server that has just refused one.
PAUSE = 0.2
_not_before: dict[str, float] = {}


class DroppingConnection(AsyncConnection[DictRow]):
    """Closes itself when a wait is abandoned; the server's session then ends on its own.

    While a server cannot be reached, all pools of the process ask it one after the other: each attempt holds
    the event loop for some 25 ms (names, TLS), and a pool makes one for every connection that it has lost.
    """

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """As in psycopg, in its turn."""
        if conninfo in _not_before:
            turn = max(_not_before[conninfo], monotonic())
            _not_before[conninfo] = turn + PAUSE
            # Once another has got through there is no queue any more.
            while conninfo in _not_before and (left := turn - monotonic()) > 0:
                await asyncio.sleep(min(left, 0.02))
        try:
            made = await super().connect(conninfo, **options)
        except psycopg.OperationalError:
            _not_before.setdefault(conninfo, monotonic() + PAUSE)
            raise
        _not_before.pop(conninfo, None)
        return made

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As in psycopg, but without sending a cancel request."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            # Left to the garbage collector, the generator would complain of the closed connection.
            with suppress(psycopg.Error):
                gen.close()
            raise


class _Line(AsyncConnectionPool[Connection]):
    """Bounds those who wait for a connection now.

    psycopg_pool's own `max_waiting` also counts those who have given up, for as long as no connection comes
    back; and whom it refuses does not make it try to connect. After an outage it would refuse for ever.
    """

    _in_line = 0

    async def getconn(self, timeout: float | None = None) -> Connection:
        """See AsyncConnectionPool.getconn; TooManyRequests if WAITING others wait for each connection."""
        if self._in_line >= WAITING * self.max_size:
            raise TooManyRequests(f"{self._in_line} wait for the pool {self.name!r}")
        self._in_line += 1
        try:
            return await super().getconn(timeout)
        finally:
            self._in_line -= 1


class _NullLine(_Line, AsyncNullConnectionPool[Connection]):
    """The same where a connection is made for each use."""


def make_pool(
    dsn: str | Callable[[], str],
    *,
    name: str,
    size: int,
    check_timeout: float,
    writable: bool = True,
    pooled: bool = True,
    checked: bool = True,
) -> Pool:
    """A pool that is not open yet; opening it does not wait for the server.

    A callable `dsn` is asked for each new connection: a password may change meanwhile. If not `pooled`, a
    connection is made for each use; if not `checked`, one is given out as it is. Whoever finds WAITING
    others in line for each of its connections gets TooManyRequests.
    """

    async def check(conn: Connection) -> None:
        async with asyncio.timeout(check_timeout):
            if writable:
                await assert_writable(conn)
            else:
                await conn.execute("SELECT 1")

    kind = _Line if pooled else _NullLine
    return kind(
        dsn,
        connection_class=DroppingConnection,
        kwargs={**CONNECT, "autocommit": True, "row_factory": dict_row},
        min_size=1 if pooled else 0,
        max_size=size,
        open=False,
        check=check if checked else None,
        name=name,
        max_idle=60,
        max_lifetime=600,
        reconnect_timeout=2.0,
    )


@asynccontextmanager
async def checkout(pool: Pool, timeout: float) -> AsyncIterator[Connection]:
    """A checked connection, waited for `timeout` s; trouble with it closes it and comes out as Broken."""
    async with pool.connection(timeout=max(timeout, 0.05)) as conn:
        try:
            yield conn
        except TROUBLE as error:
            await conn.close()
            raise Broken(type(error).__name__) from error
        except psycopg.Error:
            await conn.close()
            raise


async def assert_writable(conn: Connection) -> None:
    """Raise Broken if the connection's server is a standby or read-only."""
    cursor = await conn.execute(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only"
    )
    row = await cursor.fetchone()
    if row is None or row["read_only"]:
        # Closed, so that the pool replaces it instead of offering it again.
        await conn.close()
        raise Broken("the server does not accept writes")

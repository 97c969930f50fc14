"""SQL for the load: a connection per statement in flight, kept while it works, dropped at the first error.

A statement that outlives its deadline is never cancelled: cancelling a wait for synchronous replication
would turn into an acknowledged commit. Its connection is dropped instead, and the outcome is info.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from blackstart.load.operations import SqlRead, SqlWrite
from blackstart.load.outcome import Outcome, of_sqlstate
from blackstart.model.durations import seconds

#: So many connections are made at a time.
CONNECTS_AT_ONCE = 16


class Session:
    """A connection with its prepared statement."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.statement: PreparedStatement | None = None
        self.expired = False
        self.warning: str | None = None
        connection.add_log_listener(self._on_notice)

    def _on_notice(self, connection: Any, message: asyncpg.PostgresLogMessage) -> None:
        # A commit that gave up on synchronous replication succeeds with a warning.
        if (
            getattr(message, "severity_en", None) == "WARNING"
            or getattr(message, "severity", "") == "WARNING"
        ):
            self.warning = str(getattr(message, "message", message))

    def expire(self) -> None:
        """The deadline passed: drop the connection; whoever waits on it gets an error."""
        self.expired = True
        self.connection.terminate()

    def usable(self) -> bool:
        """True if the server has not closed it, as far as is known."""
        return not self.connection.is_closed()


class _Executor:
    """Takes sessions, gives them back or drops them.

    A statement never waits for a connection of its own: it takes the first that comes free or gets through.
    Connects go on beyond the deadline of whoever asked for them, and few run at once: a server that is slow
    to authenticate would otherwise be kept so by the very clients that gave up on it.
    """

    def __init__(self, operation: SqlWrite | SqlRead) -> None:
        self._operation = operation
        self._deadline = seconds(operation.deadline)
        self._connect_timeout = seconds(operation.connect_timeout)
        self._idle: list[Session] = []
        self._waiting: deque[asyncio.Future[Session]] = deque()
        self._connects: set[asyncio.Task[None]] = set()

    async def _run(self, *arguments: str | None) -> list[asyncpg.Record] | Outcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._deadline
        session = self._take()
        if session is None:
            try:
                session = await self._wait(deadline)
            except TimeoutError:
                return Outcome.fail("connect-timeout")
            except Exception as error:  # noqa: BLE001 - whatever it was, the statement was not sent
                return _unsent(error)
        if session.statement is None or not session.usable():
            return Outcome.fail("connect-lost")
        timer = loop.call_at(deadline, session.expire)
        try:
            rows: list[asyncpg.Record] = await session.statement.fetch(*arguments)
        except Exception as error:  # noqa: BLE001 - anything unproven is info
            session.connection.terminate()
            return _sent(error, session)
        finally:
            timer.cancel()
        if session.warning is not None:
            session.connection.terminate()
            return Outcome.info("warning", detail=session.warning[:200])
        self._offer(session)
        return rows

    def _take(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if session.usable():
                return session
        return None

    async def _wait(self, deadline: float) -> Session:
        """The next session that is free or connected; TimeoutError, or why the connect failed."""
        turn: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._dial()
        try:
            async with asyncio.timeout_at(deadline):
                return await turn
        except TimeoutError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._offer(turn.result())  # it came in the very moment of the deadline: the next one's
            raise

    def _next(self, end: Callable[[], asyncio.Future[Session]]) -> asyncio.Future[Session] | None:
        while self._waiting:
            turn = end()
            if not turn.done():
                return turn
        return None

    def _offer(self, session: Session) -> None:
        # To the newest, who has the most time left: the oldest would send with none, and then have to drop
        # the connection again, so that a backlog would keep itself alive.
        if (turn := self._next(self._waiting.pop)) is not None:
            turn.set_result(session)
        else:
            self._idle.append(session)

    def _dial(self) -> None:
        if len(self._connects) < CONNECTS_AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connects.add(task)
            task.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._connects.discard(task)
        if any(not turn.done() for turn in self._waiting):
            self._dial()

    async def _connect(self) -> None:
        """Connect and prepare: until both are done nothing can have been applied."""
        connection = None
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await asyncpg.connect(
                    self._operation.dsn,
                    timeout=self._connect_timeout,
                    server_settings={"application_name": "blackstart-load"},
                )
                session = Session(connection)
                session.statement = await connection.prepare(self._operation.statement)
        except Exception as error:  # noqa: BLE001 - it is the outcome of one that waits
            if connection is not None:
                connection.terminate()
            if (turn := self._next(self._waiting.popleft)) is not None:
                turn.set_exception(error)
            return
        self._offer(session)

    async def warm(self) -> None:
        """Have connections before the schedule begins, for what a tenth of a second may bring; tries once."""
        wanted = min(CONNECTS_AT_ONCE, 1 + round(self._operation.rate / 10))
        await asyncio.gather(*(self._connect() for _ in range(wanted)))

    async def close(self) -> None:
        """Drop all connections, also those that are being made."""
        for task in self._connects:
            task.cancel()
        while self._idle:
            self._idle.pop().connection.terminate()


class SqlWriteExecutor(_Executor):
    """Performs the operations of one SqlWrite."""

    async def __call__(self, values: Mapping[str, str], key: str | None) -> Outcome:
        """Write one row; its `node` and `term` columns become the outcome's node."""
        rows = await self._run(key, values["id"])
        if isinstance(rows, Outcome):
            return rows
        row = dict(rows[0]) if rows else {}
        if row.get("node") is None:
            return Outcome("ok")
        node = {"id": row["node"], "term": row.get("term"), "system": self._operation.system}
        return Outcome("ok", node={name: value for name, value in node.items() if value is not None})


class SqlReadExecutor(_Executor):
    """Performs the operations of one SqlRead."""

    async def __call__(self, values: Mapping[str, str], key: str | None) -> Outcome:
        """Read the ids of `key`."""
        rows = await self._run(key)
        return rows if isinstance(rows, Outcome) else Outcome("ok", ids=[row[0] for row in rows])


def _unsent(error: Exception) -> Outcome:
    if isinstance(error, ConnectionRefusedError):
        return Outcome.fail("refused")
    state = _state(error)
    if state is not None:
        return Outcome.fail(state, detail=str(error)[:200])
    if isinstance(error, OSError) and error.errno:
        return Outcome.fail(f"connect-{errno.errorcode.get(error.errno, 'error').lower()}")
    return Outcome.fail("connect-lost", detail=str(error)[:200])


def _sent(error: Exception, session: Session) -> Outcome:
    if session.expired:
        return Outcome.info("timeout")
    state = _state(error)
    if state is not None:
        return of_sqlstate(state, str(error))
    return Outcome.info("disconnected")


def _state(error: Exception) -> str | None:
    """The SQLSTATE that the server sent; None where the client made the error up (class 08)."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and not state.startswith("08") else None

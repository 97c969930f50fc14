"""Runs one turn: lock, admit, graph, unlock, all on one connection; once more if that connection broke.

This is the only layer that retries database work, and it is safe at every point, an uncertain COMMIT
included: the second attempt first takes the session's lock, which a server still busy with the first
attempt holds, and then looks the idempotency key up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from psycopg_pool import PoolTimeout, TooManyRequests

from . import turns
from .admission import Sessions
from .cache import Cache
from .content import PLAIN, Box
from .database import CROWDED, Connection, Pool, checkout
from .deadline import Deadline, current, narrowed, now
from .errors import Broken, ModelsUnavailable, Refusal
from .flights import Flights
from .graph import ChatSaver, Graph, with_saver
from .llm import Models
from .reading import read_session
from .retrieval import Retriever
from .state import LISTED, Answer, ChatState, Turn, TurnContext, fresh
from .tool import Tool
from .usage import NOTHING

log = logging.getLogger(__name__)
Emit = Callable[[str, str], None]


@dataclass
class Progress:
    """How far a turn came: once an admission was sent, nobody can be sure that nothing was applied."""

    sent: bool = False


@dataclass(frozen=True)
class Runner:
    """Everything a turn needs; times in seconds.

    A turn that got neither its session nor a connection after `start_within` is refused while it is still
    certain that nothing was applied: after an outage a long queue would otherwise be worked off by answers
    that come after their deadline, and the outage would last longer than its cause.
    """

    pool: Pool
    graph: Graph
    cache: Cache
    retriever: Retriever
    tool: Tool
    models: Models
    replica: str
    deadline: float
    start_within: float
    idempotent: bool = True
    serve_stale: bool = True
    standby: Pool | None = None
    budget_micros: int | None = None
    box: Box = PLAIN
    flights: Flights | None = None
    on_retry: Callable[[], None] = lambda: None
    on_trouble: Callable[[], None] = lambda: None
    _sessions: Sessions = field(default_factory=Sessions)

    async def run(self, turn: Turn, emit: Emit | None = None) -> Answer:
        """The answer, stored; raises Refusal."""
        with narrowed(self.deadline) as until:
            return await self._run(turn, emit, until)

    async def _run(self, turn: Turn, emit: Emit | None, until: Deadline) -> Answer:
        progress = Progress()
        deadline, start_by = until.ends, min(until.began + self.start_within, until.ends)
        try:
            async with self._alone(turn.session, start_by), asyncio.timeout_at(deadline) as limit:
                try:
                    return await self._attempt(turn, progress, emit, patience=start_by - now())
                except Broken:
                    # Cancelled by the deadline, it broke while letting go of the lock. The deadline is
                    # spent: nothing would bound a second attempt.
                    if limit.expired():
                        raise
                    self.on_retry()
                    log.warning("turn tried once more on a new connection")
                    if emit is not None:
                        emit("reset", "")
                return await self._attempt(turn, progress, emit, patience=deadline - now(), again=True)
        except (TimeoutError, PoolTimeout, Broken) as error:
            self.on_trouble()
            log.warning("turn not answered", extra={"error": type(error).__name__})
            raise self._unavailable("the database does not answer", progress) from error
        except TooManyRequests as error:
            raise self._unavailable(CROWDED, progress) from error
        except psycopg.errors.UndefinedTable as error:
            raise Refusal(503, "the schema is not made yet", retry_after=1, not_applied=True) from error
        except psycopg.Error as error:
            log.exception("the database refused")
            raise self._unavailable("the database refused", progress) from error
        except ModelsUnavailable as error:
            unavailable = self._unavailable("no model answers; the turn was recorded", progress)
            unavailable.retry_after = error.retry_after
            raise unavailable from error

    async def read(self, session: str, subject: str, limit: int = LISTED) -> dict[str, Any]:
        """The session's last `limit` turns, from the standby while no primary answers; raises Refusal."""
        try:
            left = current(self.deadline).left
            found = await read_session(
                self.pool, self.standby, session, subject, self.box, deadline=left, limit=limit
            )
        except Refusal as refusal:
            if refusal.status == 503:
                self.on_trouble()
            raise
        if found["degraded"]:
            self.on_trouble()
        return found

    async def _attempt(
        self,
        turn: Turn,
        progress: Progress,
        emit: Emit | None,
        *,
        patience: float,
        again: bool = False,
    ) -> Answer:
        async with checkout(self.pool, patience) as conn:
            try:
                await turns.lock(conn, turn.session)
            except Refusal as refusal:
                raise Refusal(503, refusal.reason, retry_after=1, not_applied=not progress.sent) from None
            try:
                progress.sent = True
                admission = await turns.admit(conn, turn, self.box, self.budget_micros)
                if admission.stored and self.idempotent:
                    return admission.stored if not again else replace(admission.stored, replayed=False)
                return await self._graph(conn, turn, emit, admission)
            except (ModelsUnavailable, Refusal) as error:
                if error.usage != NOTHING:
                    await turns.charge(conn, turn, error.usage)
                    # It is on the bill: whoever meets the error next adds nothing.
                    error.usage = NOTHING
                raise
            except asyncio.CancelledError:
                # Tasks of the graph may be at work on the connection still: closed, it lets go of the lock.
                await conn.close()
                raise
            finally:
                await self._release(conn, turn.session)

    async def _release(self, conn: Connection, session: str) -> None:
        """Unlock in bounded time even after the deadline; a closed connection has released the lock."""
        if conn.closed:
            return
        try:
            async with asyncio.timeout(1.0):
                await turns.unlock(conn, session)
        except TimeoutError:
            raise Broken("the server stopped answering") from None

    async def _graph(
        self, conn: Connection, turn: Turn, emit: Emit | None, admission: turns.Admission
    ) -> Answer:
        graph = with_saver(self.graph, ChatSaver(conn, self.box))
        config: RunnableConfig = {"configurable": {"thread_id": turns.THREAD + turn.session}}
        store: Callable[[Turn, Answer], Awaitable[Answer]] = partial(
            _store, conn, self.replica, not self.idempotent, self.box
        )
        context = TurnContext(
            turn,
            self.cache,
            self.retriever,
            self.tool,
            self.models,
            store,
            admission.history,
            emit,
            self.serve_stale,
            self.flights,
        )
        entry: ChatState | None = fresh(turn)
        if admission.again:
            # The key was admitted before, by a run that broke off: go on from its last checkpoint.
            snapshot = await graph.aget_state(config)
            if snapshot.values.get("turn") == turn.id and snapshot.next:
                entry = None
        state = await graph.ainvoke(entry, config, context=context, durability="sync")
        return Answer(state["answer"], tuple(state["degraded"].split()), state["model"])

    @asynccontextmanager
    async def _alone(self, session: str, start_by: float) -> AsyncIterator[None]:
        """Wait for this process's other turns of the session without holding a connection; raises Refusal."""
        await self._sessions.enter(session, start_by)
        try:
            yield
        finally:
            self._sessions.leave(session)

    def _unavailable(self, reason: str, progress: Progress) -> Refusal:
        return Refusal(503, reason, retry_after=1, not_applied=not progress.sent)


async def _store(
    conn: Connection, replica: str, always: bool, box: Box, turn: Turn, answer: Answer
) -> Answer:
    return await turns.store(conn, turn, answer, replica, box, always=always)

"""Whether this replica can write: watched in the background, so that start-up waits for nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .content import PLAIN, Box
from .database import UNUSABLE, Connection, Pool
from .deadline import heed_cancellation
from .embedding import Embedder, OtherSpace
from .ingest import embed_documents
from .llm import PROVIDER_ERRORS
from .schema import ensure_schema

log = logging.getLogger(__name__)
LIMIT = 3.0  # seconds, for one look or one round of vectors
STARVED = 0.5
#: Who gets no turns needs next to nothing, and cannot tell how it will be with them: a while is waited before
#: it is tried, as outlier detection does.
OUT_S = 30.0
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8 AS seconds"


class Readiness:
    """Makes the schema once, then asserts writability again and again; `wake` asks for a look now.

    `settled` seconds pass between looks while ready, `eager` seconds while not. With `skew`, a process whose
    wall clock is further than so many seconds from the database's is not ready: the clock tells whose token
    has expired. Should it be the database's that is wrong, all are out, and the front asks them all the same.
    So it does where all are `throttled` (the share of the time): above STARVED a turn takes too long.
    """

    def __init__(
        self,
        pool: Pool,
        embedder: Embedder,
        *,
        settled: float = 1.0,
        eager: float = 0.2,
        skew: float | None = None,
        wall: Callable[[], float] = time.time,
        box: Box = PLAIN,
        throttled: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._embedder = embedder
        self._settled = settled
        self._eager = eager
        self._skew = skew
        self._wall = wall
        self._box = box
        self._throttled = throttled
        self._clock = clock
        self._out_until = clock()
        self._wake = asyncio.Event()
        self._schema = False
        self.reason: str | None = "starting"
        self.draining = False

    @property
    def ready(self) -> bool:
        """True if the last look could write and the process is not being drained."""
        return self.reason is None and not self.draining

    def wake(self) -> None:
        """Look again at once; called when a request had trouble."""
        self._wake.set()

    def drain(self) -> None:
        """From now on this replica wants no new work."""
        self.draining = True

    async def watch(self) -> None:
        """Look for ever; a failed look is remembered as the reason, never raised."""
        while True:
            heed_cancellation()
            self._wake.clear()
            try:
                async with asyncio.timeout(LIMIT):
                    self._say(await self._look())
            except UNUSABLE as error:
                self._say(f"database: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
            await _either(self._wake, self._settled if self.reason is None else self._eager)

    async def embed(self) -> None:
        """Give the documents their vectors as soon as database and provider allow; then end."""
        await _until(self._embed_once, every=1.0)

    async def _look(self) -> str | None:
        if self._throttled is not None:
            share, now = self._throttled(), self._clock()
            if share > STARVED:
                self._out_until = now + OUT_S
            if now < self._out_until:
                return "processor: throttled by its own limit"
        # The pool's check, run by this checkout, is the assertion that the server accepts writes.
        async with self._pool.connection(timeout=1.0) as conn:
            if not self._schema:
                self._schema = await ensure_schema(conn)
            ahead = await self._ahead(conn) if self._skew is not None else 0.0
        if self._skew is not None and abs(ahead) > self._skew:
            return f"clock: {ahead:+.0f} s from the database's"
        return None if self._schema else "schema: another replica is making it"

    async def _ahead(self, conn: Connection) -> float:
        """Seconds by which the wall clock here is ahead of the database's, never for a late answer alone."""
        before = self._wall()
        row = await (await conn.execute(CLOCK)).fetchone()
        assert row is not None
        theirs = float(row["seconds"])
        return min(before - theirs, self._wall() - theirs, key=abs)

    async def _embed_once(self) -> bool:
        if not self._schema:
            return False
        try:
            async with asyncio.timeout(LIMIT):
                return await embed_documents(self._pool, self._embedder, self._box)
        except OtherSpace as error:
            log.error("embeddings refused", extra={"reason": str(error)})
            return False
        except (*UNUSABLE, *PROVIDER_ERRORS):
            return False

    def _say(self, reason: str | None) -> None:
        if reason != self.reason:
            log.warning("readiness changed", extra={"ready": reason is None, "reason": reason})
        self.reason = reason


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _until(probe: Callable[[], Awaitable[bool]], *, every: float) -> None:
    while not await probe():
        await asyncio.sleep(every)

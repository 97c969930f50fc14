"""From the outbox to the stream: tells the workers of every job that is owed work and that nobody has seen.

Every worker runs one; they share the rows out (`SKIP LOCKED`). A hint is published before the row says so:
a crash in between doubles it, which is harmless, instead of losing it. A job whose hint was published, and
that nobody claimed for a while, is told of again, at growing intervals: the stream may have been lost, or it
may only be long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .database import UNUSABLE, Pool, checkout
from .deadline import heed_cancellation
from .job_metrics import JobMetrics
from .stream import TROUBLE, JobStream

log = logging.getLogger(__name__)
BATCH = 200
DOUBLINGS = 4

DUE = """
SELECT seq, published FROM jobs
WHERE status IN ('queued', 'running') AND due_at <= now() AND (%(again)s OR published = 0)
ORDER BY due_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""

TOLD = """
UPDATE jobs SET published = published + 1,
    due_at = now() + make_interval(secs => %(after)s * power(2, LEAST(published, %(doublings)s)))
WHERE seq = ANY(%(jobs)s)
"""

DEPTH = """
SELECT count(*) AS depth, coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8 AS oldest
FROM jobs WHERE status IN ('queued', 'running')
"""


@dataclass
class Relay:
    """Looks every `every` seconds. A hint is repeated `after` seconds later at the earliest; never if not
    `again`, which is what a service does that publishes once and forgets."""

    pool: Pool
    stream: JobStream
    metrics: JobMetrics
    after: float
    again: bool = True
    every: float = 0.2
    measured_every: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _measured: float = field(default=float("-inf"))
    _well: bool = True

    async def run(self) -> None:
        """For ever; while Redis or Postgres is away, jobs wait where they are."""
        while True:
            heed_cancellation()
            try:
                await self.step()
                self._say(None)
            except (*UNUSABLE, *TROUBLE) as error:
                self._say(type(error).__name__)
            await asyncio.sleep(self.every)

    async def step(self) -> None:
        """Measure if it is time to, then publish what is due; raises UNUSABLE or TROUBLE."""
        if measuring := self.clock() - self._measured >= self.measured_every:
            self._measured = self.clock()
            await self._measure()
        # Asked first: with Redis away no row is locked while its time-out runs.
        await self.stream.prepare()
        if measuring:
            self.metrics.pending.set(await self.stream.pending())
        while await self.publish() == BATCH:
            pass

    async def publish(self) -> int:
        """Tell of a batch of jobs that are due; returns how many. Raises UNUSABLE or TROUBLE."""
        async with checkout(self.pool, 1.0) as conn, conn.transaction():
            rows = await (await conn.execute(DUE, {"again": self.again, "batch": BATCH})).fetchall()
            if rows:
                jobs = [row["seq"] for row in rows]
                await self.stream.publish(jobs)
                await conn.execute(TOLD, {"jobs": jobs, "after": self.after, "doublings": DOUBLINGS})
        self.metrics.published.inc(len(rows))
        self.metrics.republished.inc(sum(row["published"] > 0 for row in rows))
        return len(rows)

    async def _measure(self) -> None:
        async with checkout(self.pool, 1.0) as conn:
            row = await (await conn.execute(DEPTH)).fetchone()
        assert row is not None
        self.metrics.depth.set(row["depth"])
        self.metrics.oldest.set(row["oldest"])

    def _say(self, trouble: str | None) -> None:
        if self._well != (trouble is None):
            log.warning("relay changed state", extra={"trouble": trouble})
        self._well = trouble is None

"""What nobody asks for any more goes: settled jobs, and the checkpoints of conversations at rest.

Every worker runs one; they share the rows out (`SKIP LOCKED`). Turns are kept: they are the users'. Their
checkpoints are not: a turn that is stored is never gone on with, and one that broke off so long ago begins
anew. A job's key is free again once the job is gone.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from . import turns
from .database import UNUSABLE, Connection, Pool, checkout
from .job_metrics import JobMetrics

log = logging.getLogger(__name__)
BATCH = 50

# A job that waits for a person's decision is not settled, however old it is. Whoever lost the lease of one
# with an approval may have left a thread of their own: each epoch's goes.
JOBS = """
WITH settled AS (
    SELECT seq, epoch, kind FROM jobs
    WHERE settled_at < now() - make_interval(secs => %(keep)s)
    ORDER BY settled_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), results AS (
    DELETE FROM job_results USING settled WHERE job_results.job = settled.seq
), gone AS (
    DELETE FROM jobs USING settled WHERE jobs.seq = settled.seq
    RETURNING settled.seq, settled.epoch, settled.kind
)
SELECT (SELECT count(*) FROM gone) AS found, ARRAY(
    SELECT 'job:' || seq || ':' || n FROM gone, generate_series(1, epoch) n WHERE kind = 'approval'
) AS threads
"""

# The row's lock keeps a turn of the session from being admitted meanwhile; one that was admitted just now has
# touched the row, and then it is no longer among these.
AT_REST = f"""
SELECT '{turns.THREAD}' || session AS thread FROM sessions
WHERE touched < now() - make_interval(secs => %(keep)s)
AND EXISTS (SELECT FROM checkpoints WHERE thread_id = '{turns.THREAD}' || session)
ORDER BY touched LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""

CHECKPOINTS = tuple(
    f"DELETE FROM {table} WHERE thread_id = ANY(%(threads)s)"
    for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints")
)


@dataclass
class Retention:
    """Looks every `every` seconds, and removes what was settled or last touched `keep` seconds ago."""

    pool: Pool
    metrics: JobMetrics
    keep: float
    every: float = 30.0

    async def run(self) -> None:
        """For ever; while Postgres is away, what is old only gets older."""
        while True:
            try:
                await self.step()
            except UNUSABLE as error:
                log.warning("nothing removed", extra={"error": type(error).__name__})
            await asyncio.sleep(self.every)

    async def step(self) -> None:
        """Remove all that is old enough, a batch a transaction; raises UNUSABLE."""
        while await self.jobs() == BATCH:
            pass
        while await self.conversations() == BATCH:
            pass

    async def jobs(self) -> int:
        """Remove a batch of settled jobs with their results and checkpoints; how many. Raises UNUSABLE."""
        async with checkout(self.pool, 1.0) as conn, conn.transaction():
            row = await (await conn.execute(JOBS, {"keep": self.keep, "batch": BATCH})).fetchone()
            assert row is not None
            await _forget(conn, row["threads"])
        self.metrics.removed.labels("job").inc(row["found"])
        return int(row["found"])

    async def conversations(self) -> int:
        """Remove the checkpoints of a batch of conversations at rest; of how many. Raises UNUSABLE."""
        async with checkout(self.pool, 1.0) as conn, conn.transaction():
            rows = await (await conn.execute(AT_REST, {"keep": self.keep, "batch": BATCH})).fetchall()
            await _forget(conn, [row["thread"] for row in rows])
        self.metrics.removed.labels("conversation").inc(len(rows))
        return len(rows)


async def _forget(conn: Connection, threads: list[str]) -> None:
    if threads:
        for statement in CHECKPOINTS:
            await conn.execute(statement, {"threads": threads})

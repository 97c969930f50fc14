"""How far a standby is behind, by this process's own clock.

The standby's own word is not enough. The age of its last replayed commit grows while the primary is idle;
"all that was received is replayed" holds on a standby whose replication is cut; and the nodes' wall clocks
may differ. So the primary's position is noted again and again with the time here: a standby that has
replayed the position noted at t holds everything that was committed before t.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from .database import UNUSABLE, Pool

log = logging.getLogger(__name__)
KEPT = 600
POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint AS position"


class Watermarks:
    """Positions of the primary's log, in bytes, with the seconds at which they were seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[int, float]] = deque(maxlen=KEPT)

    def note(self, position: int) -> None:
        """The primary is at `position` now, or was when it was asked."""
        # After a failover the log may go on from before what the old primary had written.
        while self._marks and self._marks[-1][0] > position:
            self._marks.pop()
        # An unchanged position says that nothing was committed since it was first seen.
        if not self._marks or self._marks[-1][0] < position:
            self._marks.append((position, self._clock()))

    def lag(self, replayed: int) -> float:
        """Seconds for which the standby has lacked something that the primary had; 0 if it lacks nothing.

        Never more than the time for which positions are remembered.
        """
        for position, seen in self._marks:
            if position > replayed:
                return self._clock() - seen
        return 0.0

    async def watch(self, pool: Pool, *, every: float = 0.5) -> None:
        """Note the primary's position for ever; while it cannot be asked, nothing is noted."""
        while True:
            try:
                async with asyncio.timeout(2.0), pool.connection(timeout=1.0) as conn:
                    row = await (await conn.execute(POSITION)).fetchone()
                if row is not None:
                    self.note(row["position"])
            except UNUSABLE:
                log.debug("the primary's position is not known")
            await asyncio.sleep(every)

"""How far a standby is behind: neither an idle primary nor a failover may look like a late standby."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import psycopg

from sut.app.service.database import Pool
from sut.app.service.freshness import Watermarks


class Clock:
    """A clock that is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def noted(*marks: tuple[float, int]) -> tuple[Watermarks, Clock]:
    """Watermarks that saw these positions at these times."""
    clock = Clock()
    watermarks = Watermarks(clock)
    for clock.now, position in marks:
        watermarks.note(position)
    return watermarks, clock


def test_nothing_is_late_before_anything_is_known() -> None:
    assert Watermarks().lag(0) == 0.0


def test_the_lag_is_the_age_of_what_is_missing() -> None:
    watermarks, clock = noted((0, 100), (1, 200), (2, 300))
    clock.now = 5
    assert [watermarks.lag(replayed) for replayed in (99, 100, 200, 299, 300, 999)] == [5, 4, 3, 3, 0, 0]


def test_an_idle_primary_makes_nobody_late() -> None:
    watermarks, clock = noted((0, 100), (60, 100), (3600, 100))
    assert watermarks.lag(100) == 0.0
    # The first commit after the idle hour is missing since it was seen, not since the commit before it.
    clock.now = 3601
    watermarks.note(150)
    clock.now = 3602
    assert watermarks.lag(100) == 1.0


def test_after_a_failover_what_the_old_primary_alone_had_is_not_missing() -> None:
    watermarks, clock = noted((0, 100), (1, 500), (2, 300))
    clock.now = 9
    assert watermarks.lag(300) == 0.0
    assert watermarks.lag(100) == 7.0


def test_a_primary_that_cannot_be_asked_is_asked_again() -> None:
    class Row:
        async def fetchone(self) -> dict[str, int]:
            return {"position": 700}

    class FlakyPool:
        asked = 0

        @asynccontextmanager
        async def connection(self, timeout: float) -> AsyncIterator[FlakyPool]:
            self.asked += 1
            if self.asked == 1:
                raise psycopg.OperationalError("gone")
            yield self

        async def execute(self, query: str) -> Row:
            return Row()

    pool, clock = FlakyPool(), Clock()
    watermarks = Watermarks(clock)

    async def go() -> None:
        watching = asyncio.create_task(watermarks.watch(cast(Pool, pool), every=0))
        async with asyncio.timeout(5):
            while pool.asked < 3:
                await asyncio.sleep(0)
        watching.cancel()

    asyncio.run(go())
    clock.now = 2
    assert watermarks.lag(600) == 2.0

"""Retention over a database that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
from prometheus_client import CollectorRegistry

from sut.app.service import retention as module
from sut.app.service.database import Pool
from sut.app.service.job_metrics import JobMetrics
from sut.app.service.retention import BATCH, Retention


@dataclass
class FakeDatabase:
    """A pool, a connection and a cursor; `jobs` are settled, `sessions` at rest; it fails `failing` times."""

    jobs: int = 0
    sessions: int = 0
    failing: int = 0
    threads: tuple[str, ...] = ()
    forgotten: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    _found: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[FakeDatabase]:
        if self.failing:
            self.failing -= 1
            raise psycopg.OperationalError("away")
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def execute(self, query: str, values: dict[str, Any]) -> FakeDatabase:
        if query in module.CHECKPOINTS:
            self.forgotten += values["threads"]
            return self
        self.asked.append(values)
        if query == module.JOBS:
            found = min(self.jobs, values["batch"])
            self.jobs -= found
            self._found = [{"found": found, "threads": list(self.threads)}]
        else:
            found = min(self.sessions, values["batch"])
            self.sessions -= found
            self._found = [{"thread": f"chat:s{number}"} for number in range(found)]
        return self

    async def fetchone(self) -> dict[str, Any]:
        return self._found[0]

    async def fetchall(self) -> list[dict[str, Any]]:
        return self._found


def make(database: FakeDatabase, **more: Any) -> Retention:
    return Retention(cast(Pool, database), JobMetrics(CollectorRegistry()), keep=60.0, **more)


def test_all_that_is_old_goes_in_batches() -> None:
    database = FakeDatabase(jobs=2 * BATCH + 1, sessions=BATCH)
    retention = make(database)
    asyncio.run(retention.step())
    assert set(database.forgotten) == {f"chat:s{number}" for number in range(BATCH)}
    assert (database.jobs, database.sessions) == (0, 0)
    assert [asked["keep"] for asked in database.asked] == [60.0] * 5
    removed = retention.metrics.removed
    assert removed.labels("job")._value.get() == 2 * BATCH + 1
    assert removed.labels("conversation")._value.get() == BATCH


def test_a_jobs_checkpoints_go_from_every_table() -> None:
    database = FakeDatabase(jobs=1, threads=("job:7:1",))
    asyncio.run(make(database).jobs())
    assert database.forgotten == ["job:7:1"] * 3


def test_it_goes_on_when_the_database_is_back() -> None:
    database = FakeDatabase(jobs=1, failing=2)
    retention = make(database, every=0.0)

    async def go() -> None:
        running = asyncio.create_task(retention.run())
        async with asyncio.timeout(5):
            while database.jobs:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())
    assert database.failing == 0

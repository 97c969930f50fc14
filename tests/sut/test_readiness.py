"""Readiness in the background: no look and no round of vectors may last for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from sut.app.service import readiness as module
from sut.app.service.database import Pool
from sut.app.service.embedding import Embedded, vector_text
from sut.app.service.readiness import Readiness

from .fakes import NoEmbedder
from .test_ingest import CANARY

NOW = 1_700_000_000.0


class StuckPool:
    """Its server takes a statement and never answers."""

    asked = 0

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[StuckPool]:
        yield self

    async def execute(self, query: str) -> None:
        self.asked += 1
        await asyncio.Event().wait()


def test_a_round_of_vectors_that_hangs_gives_its_connection_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 0.05)
    pool = StuckPool()

    async def go() -> None:
        readiness = Readiness(cast(Pool, pool), NoEmbedder())
        readiness._schema = True
        async with asyncio.timeout(5):
            assert await readiness._embed_once() is False

    asyncio.run(go())
    assert pool.asked == 1


@dataclass
class OneConnection:
    """Lends its one connection to one at a time, and finds a document without a vector on it."""

    lent: bool = False
    written: list[object] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[OneConnection]:
        assert not self.lent
        self.lent = True
        try:
            yield self
        finally:
            self.lent = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[OneConnection]:
        yield self

    async def execute(self, query: str, given: object = ()) -> OneConnection:
        return self

    async def executemany(self, query: str, rows: list[object]) -> None:
        self.written += rows

    async def fetchall(self) -> list[dict[str, object]]:
        return [{"id": 7, "content": "seven"}]

    async def fetchone(self) -> dict[str, object]:
        return {"model": "m-1", "canary": vector_text(CANARY)}


def test_while_a_slow_provider_makes_vectors_others_have_the_connection() -> None:
    pool = OneConnection()

    class Slow:
        async def embed(self, texts: Sequence[str]) -> Embedded:
            async with pool.connection(timeout=1.0):
                return Embedded("m-1", CANARY, [CANARY] * len(texts))

    async def go() -> None:
        readiness = Readiness(cast(Pool, pool), Slow())
        readiness._schema = True
        await readiness._embed_once()

    asyncio.run(go())
    assert len(pool.written) == 1


class ClockedPool:
    """Its server takes writes, and has the time NOW."""

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[ClockedPool]:
        yield self

    async def execute(self, query: str) -> ClockedPool:
        assert query == module.CLOCK
        return self

    async def fetchone(self) -> dict[str, float]:
        return {"seconds": NOW}


def looked(off: float, skew: float | None = 30.0) -> str | None:
    """What a replica finds out whose clock is so far off."""
    readiness = Readiness(cast(Pool, ClockedPool()), NoEmbedder(), skew=skew, wall=lambda: NOW + off)
    readiness._schema = True
    return asyncio.run(readiness._look())


@pytest.mark.parametrize("off", [3600.0, -3600.0, 31.0])
def test_a_replica_whose_clock_is_off_is_not_ready(off: float) -> None:
    assert looked(off) == f"clock: {off:+.0f} s from the database's"


@pytest.mark.parametrize("off", [0.0, 29.0, -29.0])
def test_a_clock_that_is_a_little_off_does_not_matter(off: float) -> None:
    assert looked(off) is None


def test_without_the_check_no_clock_matters() -> None:
    assert looked(3600.0, skew=None) is None


def test_a_slow_answer_is_no_wrong_clock() -> None:
    ticks = iter([NOW - 40.0, NOW + 1.0])
    readiness = Readiness(cast(Pool, ClockedPool()), NoEmbedder(), skew=30.0, wall=lambda: next(ticks))
    readiness._schema = True
    assert asyncio.run(readiness._look()) is None

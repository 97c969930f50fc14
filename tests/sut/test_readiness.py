"""Readiness in the background: no look and no round of vectors may last for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from sut.app.service import readiness as module
from sut.app.service.database import Pool
from sut.app.service.readiness import Readiness

from .fakes import NoEmbedder


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

"""The connections of all app replicas and workers together fit into Postgres, by the stack's own numbers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import PoolTimeout, TooManyRequests

from sut.app.service import consuming, main
from sut.app.service.config import Settings
from sut.app.service.database import WAITING, make_pool
from sut.settings import APPS, WORKERS
from sut.stack import stack

from .test_main import FakePool

ENTRYPOINT = Path(__file__).parents[2] / "sut" / "postgres" / "entrypoint.sh"
# Postgres keeps 3 for superusers; Patroni, psql, backups and the drills' own SQL clients take the rest.
RESERVED = 3 + 40


def test_all_pools_fit_into_postgres_even_while_every_process_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def fake_pool(dsn: str, *, size: int, **_: Any) -> FakePool:
        sizes.append(size)
        return FakePool(size)

    async def start(settings: Settings) -> None:
        app = main.make_service(settings)
        async with app.router.lifespan_context(app):
            pass

    monkeypatch.setattr(main, "make_pool", fake_pool)
    monkeypatch.setattr(consuming, "make_pool", fake_pool)
    clients = [instance for instance in stack.instances if "DATABASE_URL" in instance.env]
    for instance in clients:
        asyncio.run(start(Settings.from_env(instance.env)))
    # An app replica has five pools, a worker one more.
    assert len(sizes) == 5 * len(APPS) + 6 * len(WORKERS)
    # Reads go to the standby, until it is the primary: counted as if all went to one server.
    found = re.search(r"^ +max_connections: (\d+)$", ENTRYPOINT.read_text(), re.MULTILINE)
    assert found is not None
    assert 2 * sum(sizes) <= int(found[1]) - RESERVED, sizes


def test_beyond_a_pools_line_a_request_is_refused_at_once() -> None:
    async def go() -> None:
        async with make_pool("host=127.0.0.1 port=1", name="nowhere", size=1, check_timeout=1) as pool:
            # Those who have given up do not stand in it any more.
            for _ in range(WAITING + 1):
                with pytest.raises(PoolTimeout):
                    await pool.getconn(0.01)
            before = pool.get_stats().get("requests_waiting", 0)
            waiting = [asyncio.create_task(pool.getconn(60)) for _ in range(WAITING)]
            while pool.get_stats().get("requests_waiting", 0) < before + WAITING:
                await asyncio.sleep(0)
            with pytest.raises(TooManyRequests):
                await pool.getconn(60)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(asyncio.wait_for(go(), 20))

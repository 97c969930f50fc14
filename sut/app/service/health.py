"""State and latency of every dependency, asked in parallel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from redis.exceptions import RedisError

from .database import Pool

Probe = Callable[[], Awaitable[None]]
FAILURES = (psycopg.Error, RedisError, httpx.HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Dependency:
    """`vital`: without it the service is unusable, not only degraded."""

    probe: Probe
    vital: bool = False


async def report(dependencies: Mapping[str, Dependency], *, limit: float = 0.8) -> dict[str, Any]:
    """`{"status": ok | degraded | unusable, "dependencies": {name: {"ok", "ms", "error"}}}`."""
    names = list(dependencies)
    states = await asyncio.gather(*(_ask(dependencies[name].probe, limit) for name in names))
    found = dict(zip(names, states, strict=True))
    bad = [name for name in names if not found[name]["ok"]]
    status = "ok"
    if bad:
        status = "unusable" if any(dependencies[name].vital for name in bad) else "degraded"
    return {"status": status, "dependencies": found}


def postgres(pool: Pool) -> Probe:
    """A checkout, whose check asserts writability."""

    async def probe() -> None:
        async with pool.connection(timeout=0.7):
            pass

    return probe


def provider(client: httpx.AsyncClient, url: str) -> Probe:
    """The provider's list of models; raises httpx.HTTPError."""
    return answers(client, f"{url}/models")


def answers(client: httpx.AsyncClient, url: str) -> Probe:
    """A GET of `url`; raises httpx.HTTPError."""

    async def probe() -> None:
        (await client.get(url)).raise_for_status()

    return probe


async def _ask(probe: Probe, limit: float) -> dict[str, Any]:
    began = time.monotonic()
    error = None
    try:
        async with asyncio.timeout(limit):
            await probe()
    except FAILURES as failure:
        error = type(failure).__name__
    return {"ok": error is None, "ms": round((time.monotonic() - began) * 1000, 1), "error": error}

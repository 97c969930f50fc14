"""Answers in Redis, found through Sentinel. A cache that fails is skipped, never waited for."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .breaker import Breaker, BreakerOpen

log = logging.getLogger(__name__)
T = TypeVar("T")


class Cache(Protocol):
    """What the graph asks of a cache; both raise CacheUnavailable."""

    async def get(self, key: str) -> str | None:
        """The cached answer, or None."""

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer for a while."""


class CacheUnavailable(Exception):
    """The cache did not answer in time, refused, or its breaker is open."""


class RedisCache:
    """One attempt an operation, at most `timeout` seconds for it all, discovery included."""

    def __init__(self, redis: Redis, breaker: Breaker, *, timeout: float, ttl: int = 300) -> None:
        self._redis = redis
        self._breaker = breaker
        # Discovery may ask a dead sentinel first: leave it time for the next one.
        self._timeout = 3 * timeout
        self._ttl = ttl

    async def get(self, key: str) -> str | None:
        """The cached answer, or None; raises CacheUnavailable."""
        found = await self._call(lambda: self._redis.get(key))
        return found.decode() if isinstance(found, bytes) else None

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer; raises CacheUnavailable."""
        await self._call(lambda: self._redis.set(key, answer, ex=self._ttl))

    async def ping(self) -> None:
        """Ask the primary, past the breaker; raises what redis-py raises."""
        async with asyncio.timeout(self._timeout):
            await self._redis.get("ping")

    async def _call(self, operation: Callable[[], Awaitable[T]]) -> T:
        try:
            with self._breaker.guard():
                async with asyncio.timeout(self._timeout):
                    return await operation()
        except (RedisError, OSError, BreakerOpen) as error:
            raise CacheUnavailable(type(error).__name__) from error


def connect(sentinels: tuple[tuple[str, int], ...], master: str, timeout: float) -> Redis:
    """A client of whatever primary the sentinels name at the moment of connecting."""
    once: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    manager = Sentinel(list(sentinels), sentinel_kwargs=once)  # type: ignore[no-untyped-call]
    client: Redis = manager.master_for(master, max_connections=16, **once)
    return client


def cache_key(subject: str, message: str) -> str:
    """One user's answers are not another's."""
    digest = hashlib.sha256(f"{subject}\n{' '.join(message.lower().split())}".encode()).hexdigest()
    return f"answer:{digest}"

"""Answers in Redis, found through Sentinel. A cache that fails is skipped, never waited for."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .breaker import Breaker, BreakerOpen
from .content import PLAIN, Box, Unreadable
from .errors import Refusal

log = logging.getLogger(__name__)
T = TypeVar("T")
# Discovery may ask a dead sentinel first: it leaves time for the next one.
DISCOVERY = 3


class Cache(Protocol):
    """What the graph asks of a cache; both raise CacheUnavailable."""

    async def get(self, key: str) -> str | None:
        """The cached answer, or None."""

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer for a while."""


class CacheUnavailable(Exception):
    """The cache did not answer in time, refused, or its breaker is open."""


class RedisCache:
    """One attempt an operation, at most `timeout` seconds an answer, DISCOVERY times that with discovery.

    Where it is not `optional`, its failure is the turn's: what a service does that forgot to catch it.
    """

    def __init__(
        self,
        redis: Redis,
        breaker: Breaker,
        *,
        timeout: float,
        ttl: int = 300,
        optional: bool = True,
        box: Box = PLAIN,
    ) -> None:
        self._redis = redis
        self._breaker = breaker
        self._timeout = DISCOVERY * timeout
        self._ttl = ttl
        self._optional = optional
        self._box = box

    async def get(self, key: str) -> str | None:
        """The cached answer, or None; raises CacheUnavailable."""
        found = await self._call(lambda: self._redis.get(key))
        try:
            return self._box.open(found.decode()) if isinstance(found, bytes) else None
        except Unreadable:
            # Its key was taken away: as good as not cached.
            return None

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer; raises CacheUnavailable."""
        await self._call(lambda: self._redis.set(key, self._box.seal(answer), ex=self._ttl))

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
            if not self._optional:
                raise Refusal(503, "the cache does not answer", retry_after=1) from error
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


def cache_key(subject: str, message: str, history: Sequence[tuple[str, str]]) -> str:
    """One user's answers are not another's, nor is an answer to one conversation an answer to another."""
    asked = json.dumps([subject, " ".join(message.lower().split()), history])
    return f"answer:{hashlib.sha256(asked.encode()).hexdigest()}"

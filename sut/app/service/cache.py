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
from redis.exceptions import MaxConnectionsError, RedisError

from .breaker import Breaker, BreakerOpen
from .config import Settings
from .content import PLAIN, Box, Unreadable
from .errors import Refusal

log = logging.getLogger(__name__)
T = TypeVar("T")
# Discovery may ask a dead sentinel first: it leaves time for the next one.
DISCOVERY = 3
KEPT = 3600  # seconds, for answers given when no model answers any more


class Cache(Protocol):
    """What the graph asks of a cache; all raise CacheUnavailable."""

    async def get(self, key: str) -> str | None:
        """The cached answer, or None."""

    async def get_stale(self, key: str) -> str | None:
        """The cached answer of any age, or None."""

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer for a while."""


class CacheUnavailable(Exception):
    """The cache did not answer in time, refused, or its breaker is open."""


class RedisCache:
    """One attempt an operation, at most `timeout` seconds an answer, DISCOVERY times that with discovery.

    An answer is fresh for `fresh` seconds and kept for KEPT. Its age is what is gone of its time to live: no
    replica's clock has a say in it. Where the cache is not `optional`, its failure is the turn's: what a
    service does that forgot to catch it.
    """

    def __init__(
        self,
        redis: Redis,
        breaker: Breaker,
        *,
        timeout: float,
        fresh: int = 300,
        optional: bool = True,
        box: Box = PLAIN,
    ) -> None:
        self._redis = redis
        self._breaker = breaker
        self._timeout = DISCOVERY * timeout
        self._fresh = fresh
        self._optional = optional
        self._box = box

    async def get(self, key: str) -> str | None:
        """The cached answer while it is fresh, or None; raises CacheUnavailable."""
        found, left = await self._call(lambda: self._look(key))
        return self._open(found) if KEPT - left / 1000 < self._fresh else None

    async def get_stale(self, key: str) -> str | None:
        """The cached answer of any age, or None; raises CacheUnavailable."""
        found, _ = await self._call(lambda: self._look(key))
        return self._open(found)

    async def put(self, key: str, answer: str) -> None:
        """Keep an answer; raises CacheUnavailable."""
        await self._call(lambda: self._redis.set(key, self._box.seal(answer), ex=KEPT))

    async def ping(self) -> None:
        """Ask the primary, past the breaker; raises what redis-py raises."""
        async with asyncio.timeout(self._timeout):
            await self._redis.get("ping")

    def _open(self, found: bytes | None) -> str | None:
        """The text of what was found; what no key opens any more is as good as not cached.

        Nor is what nobody sealed: nothing there is older than an hour, and Redis takes it from anyone near.
        """
        try:
            return None if found is None else self._box.open(found.decode(), sealed_only=True)
        except Unreadable:
            return None

    async def _look(self, key: str) -> tuple[bytes | None, int]:
        """The value and its time to live in milliseconds, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.get(key)
            pipeline.pttl(key)
            found, left = await pipeline.execute()
        return found, left

    async def _call(self, operation: Callable[[], Awaitable[T]]) -> T:
        try:
            with self._breaker.guard():
                async with asyncio.timeout(self._timeout):
                    return await operation()
        except (RedisError, OSError, BreakerOpen) as error:
            if not self._optional:
                raise Refusal(503, "the cache does not answer", retry_after=1) from error
            raise CacheUnavailable(type(error).__name__) from error


class TlsSentinel(Sentinel):
    """Sentinels know their instances by the plain port; clients come by the other one."""

    def __init__(self, sentinels: Sequence[tuple[str, int]], port: int, **options: Any) -> None:
        super().__init__(list(sentinels), **options)  # type: ignore[no-untyped-call]
        self._port = port

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """As Sentinel, with the port of TLS."""
        host, _ = await super().discover_master(service_name)
        return host, self._port


def connect(settings: Settings, timeout: float) -> Redis:
    """A client of whatever primary the sentinels name at the moment of connecting."""
    once: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    manager = (
        TlsSentinel(settings.redis_sentinels, settings.redis_tls_port, sentinel_kwargs=once)
        if settings.redis_tls
        else Sentinel(list(settings.redis_sentinels), sentinel_kwargs=once)  # type: ignore[no-untyped-call]
    )
    client: Redis = manager.master_for(
        settings.redis_master, max_connections=16, **once, **settings.redis_tls
    )
    return client


def speaks_of_redis(error: BaseException) -> bool:
    """Whether an error says anything about Redis; that all our own connections to it are in use does not."""
    return not isinstance(error, MaxConnectionsError)


def cache_key(subject: str, message: str, history: Sequence[tuple[str, str]]) -> str:
    """One user's answers are not another's, nor is an answer to one conversation an answer to another."""
    asked = json.dumps([subject, " ".join(message.lower().split()), history])
    return f"answer:{hashlib.sha256(asked.encode()).hexdigest()}"

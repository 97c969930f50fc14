"""A token bucket for each user: in Redis for all replicas together, else in this process for its share."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .breaker import Breaker, BreakerOpen
from .cache import DISCOVERY
from .errors import Refusal

# One script, so that no two replicas spend the same token; by Redis' clock, which they share.
# Answers the milliseconds until there is a token, 0 if one was taken.
TAKE = """
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(kept[1]) or burst
local gone = math.max(0, now - (tonumber(kept[2]) or now))
tokens = math.min(burst, tokens + gone * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) / rate * 1000) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return wait
"""
USERS = 10_000


@dataclass
class Bucket:
    """Holds `tokens`, as of `at`."""

    tokens: float
    at: float


class LocalBuckets:
    """The same rule in this process; only the USERS that came last are remembered."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, user: str) -> float:
        """Seconds until there is a token; 0 if one was taken."""
        now = self._clock()
        bucket = self._buckets.setdefault(user, Bucket(self._burst, now))
        self._buckets.move_to_end(user)
        if len(self._buckets) > USERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._rate
        bucket.tokens -= 1
        return 0.0


class RateLimit:
    """`rate` requests a second and user over all replicas, `burst` at once.

    Without Redis each replica grants its share: `rate / replicas`. `timeout` seconds an answer of Redis, and
    the cache's breaker: it is the same dependency.
    """

    def __init__(
        self,
        redis: Redis,
        breaker: Breaker,
        *,
        rate: float,
        burst: float,
        replicas: int,
        timeout: float,
        on_refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._take = redis.register_script(TAKE)
        self._breaker = breaker
        self._args = (rate, burst)
        self._local = LocalBuckets(rate / replicas, max(1.0, burst / replicas))
        self._timeout = DISCOVERY * timeout
        self._on_refused = on_refused

    async def admit(self, user: str) -> bool:
        """True if Redis decided, False if this replica did; raises Refusal 429."""
        # Not the name itself: it is nobody's business who reads Redis.
        key = f"rate:{hashlib.sha256(user.encode()).hexdigest()[:32]}"
        shared = True
        try:
            with self._breaker.guard():
                async with asyncio.timeout(self._timeout):
                    wait = float(await self._take(keys=[key], args=self._args)) / 1000
        except (RedisError, OSError, BreakerOpen):
            wait, shared = self._local.take(user), False
        if wait > 0:
            self._on_refused("rate")
            raise Refusal(429, "too many requests", retry_after=math.ceil(wait), not_applied=True)
        return shared

"""The token bucket of a user: by Redis' answer where there is one, by the replica's share otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisDown
from redis.exceptions import MaxConnectionsError

from sut.app.service import rate as module
from sut.app.service.breaker import Breaker, State
from sut.app.service.cache import speaks_of_redis
from sut.app.service.errors import Refusal
from sut.app.service.rate import LocalBuckets, RateLimit

from .test_breaker import Clock


@dataclass
class FakeRedis:
    """Answers the script with what it was given, or raises it."""

    answer: int | Exception = 0
    asked: list[tuple[list[str], Any]] = field(default_factory=list)

    def register_script(self, script: str) -> Callable[..., Awaitable[int]]:
        async def run(keys: list[str], args: Any) -> int:
            self.asked.append((keys, args))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return run


def limit(redis: FakeRedis, refused: list[str], breaker: Breaker | None = None) -> RateLimit:
    return RateLimit(
        cast(Redis, redis),
        breaker or Breaker("redis"),
        rate=6,
        burst=6,
        replicas=3,
        timeout=0.1,
        on_refused=refused.append,
    )


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    buckets = LocalBuckets(2, 4, clock=clock)
    assert [buckets.take("ann") for _ in range(4)] == [0] * 4
    assert buckets.take("ann") == 0.5
    assert buckets.take("bob") == 0, "another user's bucket"
    clock.now = 0.5
    assert (buckets.take("ann"), buckets.take("ann")) == (0, 0.5)
    clock.now = 3600
    assert sum(buckets.take("ann") == 0 for _ in range(10)) == 4, "it never holds more than the burst"


def test_users_that_came_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "USERS", 2)
    buckets = LocalBuckets(1, 1, clock=Clock())
    for user in ("ann", "bob", "ann", "eve"):
        buckets.take(user)
    assert buckets.take("ann") > 0
    assert buckets.take("bob") == 0


def test_redis_decides_where_it_answers() -> None:
    redis, refused = FakeRedis(), list[str]()

    async def go() -> None:
        limited = limit(redis, refused)
        assert await limited.admit("ann")
        redis.answer = 1200
        with pytest.raises(Refusal) as caught:
            await limited.admit("ann")
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "2")
        assert caught.value.not_applied

    asyncio.run(go())
    assert refused == ["rate"]
    assert redis.asked[0] == redis.asked[1]
    [[key], _] = redis.asked[0]
    assert "ann" not in key


def test_a_burst_beyond_our_own_connections_does_not_speak_against_redis() -> None:
    redis, breaker = FakeRedis(MaxConnectionsError()), Breaker("redis", failures=1, blame=speaks_of_redis)

    async def go() -> None:
        assert not await limit(redis, [], breaker).admit("ann")

    asyncio.run(go())
    after_a_burst = breaker.state
    with pytest.raises(RedisDown), breaker.guard():
        raise RedisDown("gone")
    assert (after_a_burst, breaker.state) == (State.CLOSED, State.OPEN)


def test_without_redis_a_replica_grants_its_share_and_says_so() -> None:
    redis, breaker = FakeRedis(RedisDown("gone")), Breaker("redis", failures=1, open_s=60)

    async def go() -> int:
        limited, granted = limit(redis, [], breaker), 0
        for _ in range(6):
            try:
                assert not await limited.admit("ann")
            except Refusal as refusal:
                assert refusal.status == 429
            else:
                granted += 1
        return granted

    assert asyncio.run(go()) == 2
    assert len(redis.asked) == 1, "the breaker spares the rest the wait"

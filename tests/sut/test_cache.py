"""The age of cached answers, by their time to live."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from sut.app.service.breaker import Breaker
from sut.app.service.cache import KEPT, CacheUnavailable, RedisCache


@dataclass
class FakeRedis:
    """Keys with what is left of their time to live, in milliseconds."""

    kept: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    down: bool = False
    asked: list[Any] = field(default_factory=list)

    async def set(self, key: str, value: str, ex: int) -> None:
        self.kept[key] = (value.encode(), ex * 1000)

    def pipeline(self, transaction: bool) -> FakeRedis:
        self.asked = []
        return self

    def get(self, key: str) -> None:
        self.asked.append(self.kept.get(key, (None, -2))[0])

    def pttl(self, key: str) -> None:
        self.asked.append(self.kept.get(key, (None, -2))[1])

    async def execute(self) -> list[Any]:
        if self.down:
            raise RedisConnectionError
        return self.asked

    async def __aenter__(self) -> FakeRedis:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def cache(redis: FakeRedis) -> RedisCache:
    return RedisCache(cast(Redis, redis), Breaker("redis"), timeout=0.1, fresh=300)


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (299, True), (301, False), (KEPT - 1, False)])
def test_an_answer_is_fresh_for_a_while_and_kept_for_longer(age: int, fresh: bool) -> None:
    redis = FakeRedis()

    async def go() -> None:
        await cache(redis).put("k", "hello")
        redis.kept["k"] = (b"hello", redis.kept["k"][1] - age * 1000)
        assert await cache(redis).get("k") == ("hello" if fresh else None)
        assert await cache(redis).get_stale("k") == "hello"

    asyncio.run(go())


def test_what_is_not_there_is_neither_fresh_nor_stale() -> None:
    async def go() -> None:
        assert await cache(FakeRedis()).get("k") is None
        assert await cache(FakeRedis()).get_stale("k") is None

    asyncio.run(go())


@pytest.mark.parametrize("ask", ["get", "get_stale"])
def test_a_cache_that_is_down_is_unavailable(ask: str) -> None:
    with pytest.raises(CacheUnavailable):
        asyncio.run(getattr(cache(FakeRedis(down=True)), ask)("k"))

"""Hints for the workers in a Redis Stream: which job to look at. Nothing is lost with them.

The stream has no TTL, so under Redis' policy `volatile-lru` it is never evicted: what is evicted are cached
answers, which have one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

T = TypeVar("T")
STREAM = "jobs"
GROUP = "workers"
#: More hints than this would only repeat each other: the oldest go, and the relay tells of their jobs again.
LONGEST = 10_000
#: What Redis, or the way to it, may make a caller raise.
TROUBLE = (RedisError, OSError)


@dataclass(frozen=True)
class Hint:
    """An entry of the stream: look at this job."""

    entry: bytes
    job: int


class JobStream:
    """One consumer of the group; every call takes at most `timeout` seconds and raises TROUBLE."""

    def __init__(self, redis: Redis, consumer: str, *, timeout: float) -> None:
        self._redis = redis
        self._consumer = consumer
        self._timeout = timeout

    async def prepare(self) -> None:
        """Make stream and group where they are missing: a Redis that lost them gets them again."""
        try:
            await self._call(lambda: self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True))
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def publish(self, jobs: Sequence[int]) -> None:
        """Add a hint for each job."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.xadd(STREAM, {"job": job}, maxlen=LONGEST, approximate=True)
            await self._call(pipe.execute)

    async def fetch(self, count: int, *, wait: float) -> list[Hint]:
        """New hints, waited for `wait` seconds, which must be less than the client's socket timeout."""
        found = await self._grouped(
            lambda: self._redis.xreadgroup(
                GROUP, self._consumer, {STREAM: ">"}, count=count, block=round(wait * 1000)
            )
        )
        return [hint for _, entries in found or () for hint in hints(entries)]

    async def reclaim(self, count: int, *, idle: float) -> list[Hint]:
        """Take over hints that nobody has touched for `idle` seconds: their worker is gone."""
        found = await self._grouped(
            lambda: self._redis.xautoclaim(STREAM, GROUP, self._consumer, round(idle * 1000), count=count)
        )
        return hints(found[1]) if found else []

    async def keep(self, hint: Hint) -> None:
        """Touch the hint: its worker is at it."""
        await self._call(
            lambda: self._redis.xclaim(STREAM, GROUP, self._consumer, 0, [hint.entry], justid=True)
        )

    async def drop(self, hint: Hint) -> None:
        """The hint has been acted upon, or is of no use."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(STREAM, GROUP, hint.entry)
            pipe.xdel(STREAM, hint.entry)
            await self._call(pipe.execute)

    async def pending(self) -> int:
        """Hints delivered and not yet dropped, of all consumers."""
        found = await self._call(lambda: self._redis.xpending(STREAM, GROUP))
        return int(found["pending"])

    async def _grouped(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, or None where the group had to be made first."""
        try:
            return await self._call(command)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        await self.prepare()
        return None

    async def _call(self, command: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._timeout):
            return await command()


def hints(entries: Iterable[tuple[bytes | None, Any]]) -> list[Hint]:
    """The hints among entries of the stream; one that was deleted meanwhile, or is none of ours, is not."""
    return [
        Hint(entry, int(fields[b"job"]))
        for entry, fields in entries
        if entry is not None and fields and fields.get(b"job", b"").isdigit()
    ]

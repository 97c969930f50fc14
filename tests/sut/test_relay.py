"""The relay over a database and a stream that are not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisGone

from sut.app.service import relay as module
from sut.app.service.database import Pool
from sut.app.service.job_metrics import JobMetrics
from sut.app.service.relay import Relay
from sut.app.service.stream import JobStream

from .queuefakes import FakeStream


@dataclass
class FakeOutbox:
    """A pool, a connection and a cursor: `due` jobs, and those that are committed as told of."""

    due: list[dict[str, int]] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    uncommitted: list[int] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    closed: bool = False

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[FakeOutbox]:
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        try:
            yield
            self.told += self.uncommitted
        finally:
            self.uncommitted.clear()

    async def execute(self, query: str, values: Any = None) -> FakeOutbox:
        if query == module.TOLD:
            self.uncommitted += values["jobs"]
        if query == module.DUE:
            self.asked.append(values["again"])
        return self

    async def fetchall(self) -> list[dict[str, int]]:
        given, self.due = self.due, []
        return given

    async def fetchone(self) -> dict[str, float]:
        return {"depth": 2, "oldest": 9.5}


def make(outbox: FakeOutbox, stream: FakeStream, **more: Any) -> Relay:
    return Relay(
        cast(Pool, outbox), cast(JobStream, stream), JobMetrics(CollectorRegistry()), after=5.0, **more
    )


def sample(relay: Relay, name: str) -> float:
    return float(getattr(relay.metrics, name)._value.get())


def test_a_job_is_told_of_before_the_outbox_says_so() -> None:
    outbox, stream = FakeOutbox(due=[{"seq": 7, "published": 0}, {"seq": 8, "published": 2}]), FakeStream()
    relay = make(outbox, stream)
    asyncio.run(relay.step())
    assert stream.published == outbox.told == [7, 8]
    assert (sample(relay, "published"), sample(relay, "republished")) == (2, 1)


def test_a_job_that_could_not_be_told_of_stays_due() -> None:
    outbox = FakeOutbox(due=[{"seq": 7, "published": 0}])
    stream = FakeStream(trouble=lambda call: RedisGone("gone") if call == "publish" else None)
    with pytest.raises(RedisGone):
        asyncio.run(make(outbox, stream).step())
    assert outbox.told == []


def test_with_redis_away_no_row_is_locked_but_the_depth_is_known() -> None:
    outbox = FakeOutbox(due=[{"seq": 7, "published": 0}])
    relay = make(outbox, FakeStream(trouble=lambda call: RedisGone("gone")))
    with pytest.raises(RedisGone):
        asyncio.run(relay.step())
    assert outbox.asked == []
    assert (sample(relay, "depth"), sample(relay, "oldest")) == (2, 9.5)


def test_the_relay_goes_on_when_redis_is_back() -> None:
    outbox = FakeOutbox(due=[{"seq": 7, "published": 0}])
    stream = FakeStream()
    stream.trouble = lambda call: RedisGone("gone") if len(stream.calls) < 3 else None
    relay = make(outbox, stream, every=0.0)

    async def go() -> None:
        running = asyncio.create_task(relay.run())
        async with asyncio.timeout(5):
            while not outbox.told:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())
    assert stream.published == [7]


def test_the_queue_is_measured_once_a_while() -> None:
    now = [0.0]
    stream = FakeStream()
    relay = make(FakeOutbox(), stream, clock=lambda: now[0])

    async def go() -> None:
        for at in (0.0, 0.5, 1.0):
            now[0] = at
            await relay.step()

    asyncio.run(go())
    assert stream.calls.count("pending") == 2
    assert sample(relay, "pending") == 3


@pytest.mark.parametrize("again", [True, False])
def test_only_with_repetition_is_what_was_published_asked_for(again: bool) -> None:
    outbox = FakeOutbox()
    asyncio.run(make(outbox, FakeStream(), again=again).step())
    assert outbox.asked == [again]

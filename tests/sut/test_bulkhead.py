"""Bulkheads: a slow dependency holds its own places only."""

from __future__ import annotations

import asyncio

import pytest

from sut.app.service.bounded import BoundedRetriever
from sut.app.service.bulkhead import Bulkhead
from sut.app.service.errors import NotAsked, Refusal
from sut.app.service.retrieval import Found, RetrievalUnavailable

from .fakes import FakeRetriever


async def held(bulkhead: Bulkhead, done: asyncio.Event) -> asyncio.Task[None]:
    """A call that is under way until `done`."""

    async def call() -> None:
        async with bulkhead.enter():
            await done.wait()

    before, task = bulkhead.in_use, asyncio.create_task(call())
    while bulkhead.in_use == before:
        await asyncio.sleep(0)
    return task


def test_one_call_too_many_is_not_made() -> None:
    full: list[str] = []

    async def go() -> None:
        bulkhead, done = Bulkhead("tool", 2, wait_s=0.05, on_full=full.append), asyncio.Event()
        calls = [await held(bulkhead, done), await held(bulkhead, done)]
        with pytest.raises(NotAsked, match="tool"):
            async with bulkhead.enter():
                pytest.fail("a third call")
        done.set()
        await asyncio.gather(*calls)
        assert bulkhead.in_use == 0

    asyncio.run(go())
    assert full == ["tool"]


def test_a_burst_that_is_soon_over_is_no_trouble() -> None:
    async def go() -> None:
        bulkhead, done = Bulkhead("tool", 1, wait_s=60), asyncio.Event()
        first = await held(bulkhead, done)
        late = asyncio.create_task(held(bulkhead, done))
        await asyncio.sleep(0)
        done.set()
        await asyncio.gather(first, late)

    asyncio.run(asyncio.wait_for(go(), 30))


def test_without_a_limit_nothing_is_refused() -> None:
    async def go() -> None:
        bulkhead = Bulkhead("tool")
        async with bulkhead.enter(), bulkhead.enter(), bulkhead.enter():
            assert bulkhead.in_use == 3

    asyncio.run(go())


def test_a_call_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    async def go() -> None:
        bulkhead = Bulkhead("tool", 1, wait_s=0.05)
        for error in (ValueError, asyncio.CancelledError):
            with pytest.raises(error):
                async with bulkhead.enter():
                    raise error
        async with bulkhead.enter():
            pass

    asyncio.run(go())


def test_retrieval_that_is_full_or_slow_is_done_without() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def go() -> None:
        bulkhead = Bulkhead("retrieval", 1, wait_s=0.05)
        slow = BoundedRetriever(FakeRetriever(before=for_ever), bulkhead, 1.0)
        quick = BoundedRetriever(FakeRetriever(), bulkhead, 0.2)
        waiting = asyncio.create_task(slow.search("?", "ann"))
        while not bulkhead.in_use:
            await asyncio.sleep(0)
        with pytest.raises(RetrievalUnavailable, match="NotAsked"):
            await quick.search("?", "ann")
        with pytest.raises(RetrievalUnavailable, match="TimeoutError"):
            await waiting
        assert await quick.search("?", "ann") == Found(("one", "two"))

    asyncio.run(go())


def test_retrieval_that_is_required_is_the_turns_failure() -> None:
    async def nothing() -> None:
        raise RetrievalUnavailable("no vector")

    async def go() -> None:
        inner = FakeRetriever(before=nothing)
        with pytest.raises(RetrievalUnavailable, match="no vector"):
            await BoundedRetriever(inner, Bulkhead("retrieval"), 1.0).search("?", "ann")
        with pytest.raises(Refusal) as caught:
            await BoundedRetriever(inner, Bulkhead("retrieval"), 1.0, optional=False).search("?", "ann")
        assert caught.value.status == 503

    asyncio.run(go())

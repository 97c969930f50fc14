"""Bulkheads: a slow dependency holds its own places only."""

from __future__ import annotations

import asyncio

import pytest

from sut.app.service.bounded import BoundedRetriever
from sut.app.service.bulkhead import Bulkhead
from sut.app.service.errors import NotAsked
from sut.app.service.retrieval import RetrievalUnavailable

from .fakes import FakeRetriever


def test_one_call_too_many_is_not_made_and_a_burst_is_no_trouble() -> None:
    full: list[str] = []

    async def go() -> None:
        bulkhead = Bulkhead("tool", 2, wait_s=0.05, on_full=full.append)
        done = asyncio.Event()
        inside: list[int] = []

        async def call(number: int) -> None:
            async with bulkhead.enter():
                inside.append(number)
                await done.wait()

        held = [asyncio.create_task(call(number)) for number in (1, 2)]
        with pytest.raises(NotAsked, match="tool"):
            await call(3)
        late = asyncio.create_task(call(4))
        while bulkhead.in_use < 2 or late.done():
            await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*held, late)
        assert inside == [1, 2, 4]
        assert bulkhead.in_use == 0

    asyncio.run(go())
    assert full == ["tool"]


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
        slow = BoundedRetriever(FakeRetriever(before=for_ever), bulkhead, 0.2)
        quick = BoundedRetriever(FakeRetriever(), bulkhead, 0.2)
        held = asyncio.create_task(slow.search("?"))
        await asyncio.sleep(0)
        with pytest.raises(RetrievalUnavailable, match="NotAsked"):
            await quick.search("?")
        with pytest.raises(RetrievalUnavailable, match="TimeoutError"):
            await held
        assert await quick.search("?") == ["one", "two"]

    asyncio.run(go())

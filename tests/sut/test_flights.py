"""One call for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sut.app.service.flights import Flights
from sut.app.service.llm import Generated

ANSWER = Generated("yes", "model-1", fallback=False)


class Asked:
    """Counts the calls; each waits to be let go, and fails if it is among the first `failing`."""

    def __init__(self, failing: int = 0, answer: Generated = ANSWER) -> None:
        self.calls, self._failing, self._answer = 0, failing, answer
        self.go = asyncio.Event()

    async def __call__(self) -> Generated:
        """As what Flights is given."""
        self.calls += 1
        number = self.calls
        await self.go.wait()
        if number <= self._failing:
            raise ConnectionResetError("down")
        return self._answer


async def together(flights: Flights, ask: Asked, *names: str) -> list[tuple[Generated, bool] | BaseException]:
    tasks = [asyncio.create_task(flights.join(name, ask)) for name in names]
    await asyncio.sleep(0)
    ask.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_the_same_question_is_asked_once_and_answered_to_all() -> None:
    async def run() -> None:
        ask = Asked()
        found = await together(Flights(), ask, "a", "a", "a")
        assert ask.calls == 1
        assert sorted(f[1] for f in found if isinstance(f, tuple)) == [False, False, True]

    asyncio.run(run())


def test_different_questions_do_not_wait_for_each_other() -> None:
    async def run() -> None:
        ask = Asked()
        await together(Flights(), ask, "a", "b")
        assert ask.calls == 2

    asyncio.run(run())


def test_a_failure_is_its_own_and_the_next_one_asks() -> None:
    async def run() -> None:
        ask = Asked(failing=1)
        first, *others = await together(Flights(), ask, "a", "a", "a")
        assert isinstance(first, ConnectionResetError)
        assert [f[0] for f in others if isinstance(f, tuple)] == [ANSWER, ANSWER]
        assert ask.calls == 2

    asyncio.run(run())


def test_an_answer_is_given_for_a_moment_longer() -> None:
    async def run() -> None:
        flights, ask = Flights(linger=0.05), Asked()
        ask.go.set()
        await flights.join("a", ask)
        assert (await flights.join("a", ask))[1] is False
        await asyncio.sleep(0.1)
        assert (await flights.join("a", ask))[1] is True
        assert ask.calls == 2

    asyncio.run(run())


def test_what_a_model_declined_is_given_to_those_who_wait_and_to_nobody_later() -> None:
    async def run() -> None:
        flights, ask = Flights(), Asked(answer=replace(ANSWER, declined=True))
        assert len(await together(flights, ask, "a", "a")) == 2
        assert ask.calls == 1
        assert (await flights.join("a", ask))[1] is True

    asyncio.run(run())


def test_whoever_is_cancelled_leaves_the_answer_to_the_others() -> None:
    async def run() -> None:
        flights, ask = Flights(), Asked()
        leader, one, other = (asyncio.create_task(flights.join("a", ask)) for _ in range(3))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        ask.go.set()
        assert await other == (ANSWER, True)
        assert ask.calls == 2

    asyncio.run(run())

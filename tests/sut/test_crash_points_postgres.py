"""A process cut off at any word with a real Postgres: another one finishes its turn, and it may come back.

The first process stands still at its nth exchange with the server, before it was sent or after it was
answered. Its connections end, as those of a process do that was killed, or whose host was cut off, and
another one answers. Then the first goes on, as a process does that was only frozen: it finds its connection
gone, and may spoil nothing. n grows until the turn is done by itself. Locks, statements, commits and
checkpoints are the service's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from sut.app.service.database import DroppingConnection, Pool, make_pool
from sut.app.service.state import Answer

from .fakes import turn
from .test_crash_points import Counting
from .test_turns import kill, replica

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
MOST = 200
PATIENT = 60.0  # seconds: no limit of its own ends the turn of a process that stands still


@dataclass
class Process:
    """Stands still at its `at`th point until it is told to go on; every exchange has two."""

    at: int
    passed: int = 0
    still: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def point(self) -> None:
        """Pass, or stand still."""
        self.passed += 1
        if self.passed == self.at:
            self.still.set()
            await self.go_on.wait()


#: Whose exchanges are counted: the tasks of a turn inherit it.
counted: ContextVar[Process | None] = ContextVar("counted", default=None)


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exchange of a counted process with its server has two points."""
    exchange = DroppingConnection.wait

    async def wait(self: DroppingConnection, *args: Any, **options: Any) -> Any:
        process = counted.get()
        if process is not None:
            await process.point()
        found = await exchange(self, *args, **options)
        if process is not None:
            await process.point()
        return found

    monkeypatch.setattr(DroppingConnection, "wait", wait)


@asynccontextmanager
async def pooled(dsn: str, name: str) -> AsyncIterator[Pool]:
    """A pool whose check waits for as long as the process stands still."""
    address = f"{dsn}?application_name={name}"
    async with make_pool(address, name=name, size=2, check_timeout=PATIENT) as pool:
        await pool.wait(20)
        yield pool


async def kept(dsn: str, session: str) -> tuple[list[str], int]:
    """The stored answers of a session, and how many checkpoints it has."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        turns = await conn.execute("SELECT answer FROM turns WHERE session = %s", (session,))
        answers = [str(row[0]) for row in await turns.fetchall()]
        thread = await conn.execute(
            "SELECT count(*) FROM checkpoints WHERE thread_id = 'chat:' || %s", (session,)
        )
        [number] = await thread.fetchone() or (0,)
    return answers, int(number)


@dataclass(frozen=True)
class Cut:
    """What there was when the first process stood still, and how often the models were asked in the end."""

    asked: int
    stored: int
    asked_in_all: int


async def cut(dsn: str, at: int) -> Cut | None:
    """Cut the first process off at this point, and let it come back; None if it was done before."""
    session, model, process = f"cut-{at}", Counting(), Process(at)
    asked = turn(session=session)
    async with pooled(dsn, f"first-{at}") as one, pooled(dsn, f"second-{at}") as two:
        first = replica(one, model=model, deadline=PATIENT, start_within=PATIENT)
        second = replica(two, model=model, deadline=PATIENT, start_within=PATIENT)

        async def begun() -> Answer:
            counted.set(process)
            return await first.run(asked)

        running = asyncio.create_task(begun())
        standing = asyncio.create_task(process.still.wait())
        await asyncio.wait({running, standing}, return_when=asyncio.FIRST_COMPLETED)
        if not process.still.is_set():
            standing.cancel()
            assert (await running).text == (await second.run(asked)).text
            return None
        calls, (stored, _) = model.calls, await kept(dsn, session)
        await kill(dsn, f"first-{at}")
        answer = await second.run(asked)
        found = await kept(dsn, session)
        process.go_on.set()
        zombie = await running
        where = f"at point {at}"
        assert found[0] == [answer.text], where
        assert zombie.text == answer.text, where
        assert await kept(dsn, session) == found, f"{where}: the first wrote when another had answered"
        return Cut(calls, len(stored), model.calls)


def test_cut_off_anywhere_a_turn_is_answered_once_and_a_process_that_comes_back_spoils_nothing(
    dsn: str, stopping: None
) -> None:
    async def go() -> list[Cut]:
        cuts: list[Cut] = []
        for at in range(1, MOST):
            found = await asyncio.wait_for(cut(dsn, at), 60)
            if found is None:
                return cuts
            cuts.append(found)
        pytest.fail(f"the turn is not done after {MOST} points")

    cuts = asyncio.run(go())
    assert {each.stored for each in cuts} == {0, 1}, "before it was stored, and after"
    assert all(each.asked_in_all <= 2 for each in cuts)
    # Paid for and not stored: the checkpoint has it, and nobody pays again.
    assert any((each.asked, each.stored, each.asked_in_all) == (1, 0, 1) for each in cuts)
    assert all(each.asked_in_all == 1 for each in cuts if each.stored)

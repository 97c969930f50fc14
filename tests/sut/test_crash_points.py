"""A process killed at any point of a turn: another one finishes it, and nobody answers it twice.

The event loop of the first process is stopped after n steps and never goes on, which is what SIGKILL does; n
grows until the turn is done by itself. What the fakes keep is what Postgres would; over a real one, with its
locks and checkpoints, it is `test_crash_points_postgres.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sut.app.service.admission import Sessions
from sut.app.service.state import Answer, Turn
from sut.app.service.turns import Admission

from .fakes import FakeModel, turn
from .test_runner import Database, make

STEPS = 2000


async def pause() -> None:
    """A way to the server, on which the process may die."""
    await asyncio.sleep(0)


@dataclass
class Durable(Database):
    """As Postgres keeps it: a turn is stored unless its key has one. Each call can be cut on either way."""

    rows: list[tuple[str, Answer]] = field(default_factory=list)

    async def lock(self, conn: object, session: str) -> None:
        await pause()
        await super().lock(conn, session)
        await pause()

    async def admit(self, conn: object, turn: Turn, *rest: object) -> Admission:
        await pause()
        admission = await super().admit(conn, turn, *rest)
        await pause()
        return admission

    async def store(self, conn: object, turn: Turn, answer: Answer, *_: Any, **__: Any) -> Answer:
        await pause()
        if turn.id not in self.stored:
            self.rows.append((turn.id, answer))
            await super().store(conn, turn, answer)
        await pause()
        return self.stored[turn.id][1]

    async def unlock(self, conn: object, session: str) -> None:
        await pause()


@dataclass
class Counting(FakeModel):
    """Says something else each time that it is asked."""

    async def ainvoke(self, input: Any, **options: Any) -> Any:
        """As ChatModel."""
        await pause()
        self.text = f"answer {self.calls + 1}"
        message = await super().ainvoke(input, **options)
        await pause()
        return message


@dataclass
class Process:
    """An event loop of its own, which stands still after so many steps."""

    work: Coroutine[Any, Any, Answer]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def run(self, steps: int) -> Answer | None:
        """The answer, if there is one by then."""
        self.task = self.loop.create_task(self.work)
        for _ in range(steps):
            if self.task.done():
                return self.task.result()
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        return None

    def bury(self) -> None:
        """Let the coroutines end, as a killed process would not, once nobody looks at what they do."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, self.task, return_exceptions=True))
        self.loop.close()


def test_killed_at_any_point_a_turn_is_neither_lost_nor_answered_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, stored = set(), set()
    for steps in range(1, STEPS):
        database, model = Durable(monkeypatch), Counting()
        runner = make(database, model)
        process = Process(runner.run(turn()))
        answer = process.run(steps)
        asked.add(model.calls)
        stored.add(len(database.rows))
        other = replace(runner, replica="app-2", _sessions=Sessions())
        again = asyncio.run(other.run(turn()))
        assert [key for key, _ in database.rows] == ["k1"], f"after {steps} steps"
        assert again.text == database.rows[0][1].text, f"after {steps} steps"
        assert model.calls <= 2
        process.bury()
        if answer is not None:
            assert (again.text, again.replayed) == (answer.text, True)
            break
    else:
        pytest.fail(f"the turn is not done after {STEPS} steps")
    assert steps > 10, "there are more points than that"
    assert asked == stored == {0, 1}, "killed before, between and after"

"""The runner over tables and locks that are not there: its deadline, and what the graph is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from psycopg_pool import TooManyRequests

from sut.app.service import approval, turns
from sut.app.service import runner as module
from sut.app.service.approval import ApprovalContext, Question, advance
from sut.app.service.database import CROWDED, Pool
from sut.app.service.errors import BUSY, Broken, Refusal
from sut.app.service.graph import build
from sut.app.service.jobs import Decision
from sut.app.service.llm import Models
from sut.app.service.runner import Runner
from sut.app.service.state import Answer, Turn
from sut.app.service.usage import NOTHING, Usage

from .fakes import FakeCache, FakeModel, FakeRetriever, FakeTool, Hook, models, nothing, target, turn
from .queuefakes import claim


class FakeConnection:
    """Open until it is closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


@dataclass
class Database:
    """Stands in for the module `turns`, in memory. The checkpoints of broken connections are kept."""

    monkeypatch: pytest.MonkeyPatch
    admitted: set[str] = field(default_factory=set)
    stored: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    connections: list[FakeConnection] = field(default_factory=list)
    charged: list[tuple[str, Usage]] = field(default_factory=list)
    saver: InMemorySaver = field(default_factory=InMemorySaver)
    attempts: int = 0
    crowded: bool = False
    before_admit: Hook = nothing
    after_store: Hook = nothing
    after_unlock: Hook = nothing

    def __post_init__(self) -> None:
        for name in ("lock", "admit", "store", "charge", "unlock"):
            self.monkeypatch.setattr(turns, name, getattr(self, name))
        self.monkeypatch.setattr(module, "ChatSaver", lambda conn, box: self.saver)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[FakeConnection]:
        if self.crowded:
            raise TooManyRequests
        self.connections.append(FakeConnection())
        yield self.connections[-1]

    async def lock(self, conn: object, session: str) -> None:
        self.attempts += 1

    async def admit(self, conn: object, turn: Turn, *__: object) -> turns.Admission:
        await self.before_admit()
        again = turn.id in self.admitted
        self.admitted.add(turn.id)
        history = tuple((message, answer.text) for message, answer in self.stored.values())
        _, stored = self.stored.get(turn.id, (None, None))
        return turns.Admission(again, replace(stored, replayed=True) if stored else None, history)

    async def store(self, conn: object, turn: Turn, answer: Answer, *_: Any, **__: Any) -> Answer:
        self.stored[turn.id] = (turn.message, answer)
        await self.after_store()
        return answer

    async def charge(self, conn: object, turn: Turn, usage: Usage) -> None:
        self.charged.append((turn.id, usage))

    async def unlock(self, conn: object, session: str) -> None:
        await self.after_unlock()


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


def make(database: Database, model: FakeModel | None = None, deadline: float = 4.0) -> Runner:
    asking = models(model or FakeModel(), FakeModel("model-2"), timeout=4.0)
    pool = cast(Pool, database)
    return Runner(
        pool,
        build(),
        FakeCache(),
        FakeRetriever(),
        FakeTool(),
        asking,
        "app-1",
        deadline=deadline,
        start_within=2.0,
    )


def test_a_deadline_that_ends_in_a_broken_connection_is_not_followed_by_another_attempt(
    database: Database,
) -> None:
    async def broken() -> None:
        raise Broken("gone")

    async def for_ever() -> None:
        await asyncio.Event().wait()

    database.before_admit, database.after_unlock = for_ever, broken

    async def go() -> None:
        async with asyncio.timeout(5):
            with pytest.raises(Refusal) as caught:
                await make(database, deadline=0.05).run(turn())
        assert caught.value.status == 503

    asyncio.run(go())
    assert database.attempts == 1


def test_a_turn_out_of_time_closes_its_connection_and_says_nothing_more_on_it(database: Database) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def unlocked() -> None:
        said.append("unlock")

    said: list[str] = []
    database.before_admit, database.after_unlock = for_ever, unlocked

    async def go() -> None:
        with pytest.raises(Refusal):
            await make(database, deadline=0.05).run(turn())

    asyncio.run(go())
    assert database.connections[-1].closed and not said


def test_who_waited_in_vain_for_the_session_is_told_so_and_nobody_suspects_the_database(
    database: Database,
) -> None:
    async def go() -> None:
        go_on, woken = asyncio.Event(), list[str]()

        async def until() -> None:
            await go_on.wait()

        database.before_admit = until
        runner = replace(make(database), start_within=0.05, on_trouble=lambda: woken.append("look"))
        first = asyncio.create_task(runner.run(turn("k1")))
        while not database.attempts:
            await asyncio.sleep(0)
        with pytest.raises(Refusal, match=BUSY) as caught:
            await runner.run(turn("k2"))
        assert (caught.value.status, caught.value.retry_after, caught.value.not_applied) == (503, 1, True)
        go_on.set()
        assert (await first).text == "hello there"
        assert woken == []

    asyncio.run(asyncio.wait_for(go(), 10))


def test_a_turn_that_finds_too_long_a_line_is_refused_and_nobody_suspects_the_database(
    database: Database,
) -> None:
    woken: list[str] = []
    database.crowded = True
    runner = replace(make(database), on_trouble=lambda: woken.append("look"))
    with pytest.raises(Refusal, match=CROWDED) as caught:
        asyncio.run(runner.run(turn()))
    assert (caught.value.status, caught.value.retry_after, caught.value.not_applied) == (503, 1, True)
    assert woken == []


def test_a_turn_stored_just_before_its_connection_broke_stays_in_the_conversation(database: Database) -> None:
    broke = False

    async def once() -> None:
        nonlocal broke
        if not broke:
            broke = True
            raise Broken("gone")

    database.after_store = once
    model = FakeModel()
    runner = make(database, model)

    async def go() -> None:
        assert (await runner.run(turn("k1", message="one"))).text == "hello there"
        await runner.run(turn("k2", message="two"))

    asyncio.run(go())
    assert database.attempts == 3
    assert [message.content for message in model.seen[-1][1:]] == ["one", "hello there", "two"]
    assert model.calls == 2


@pytest.mark.parametrize(("finish", "status"), [("content_filter", 422), (None, 503)])
def test_a_turn_that_gets_no_answer_is_charged_once_for_what_was_asked_in_vain(
    database: Database, finish: str | None, status: int
) -> None:
    async def go() -> Refusal:
        runner = replace(make(database), models=Models([target(FakeModel(finish=finish))], timeout=1.0))
        with pytest.raises(Refusal) as caught:
            await runner.run(turn())
        return caught.value

    refusal = asyncio.run(go())
    [(id, usage)] = database.charged
    assert (id, usage.completion, refusal.status) == ("k1", 3, status)
    assert refusal.usage == NOTHING, "a worker that meets it would bill it again"


def test_a_turn_that_cost_nothing_is_not_charged(database: Database) -> None:
    with pytest.raises(Refusal):
        asyncio.run(make(database).run(turn(message="\x07")))
    assert database.charged == []


def test_without_idempotency_a_stored_key_is_answered_anew(database: Database) -> None:
    model = FakeModel()
    runner = replace(make(database, model), idempotent=False)

    async def go() -> None:
        await runner.run(turn("k1"))
        assert not (await runner.run(turn("k1"))).replayed

    asyncio.run(go())
    assert model.calls == 2


def test_a_session_called_like_the_thread_of_an_approval_is_another_thread(database: Database) -> None:
    graph = approval.build().copy(update={"checkpointer": database.saver})
    context = ApprovalContext(models(FakeModel(text="Dear Ann"), FakeModel("model-2")))

    async def go() -> None:
        asked = await advance(graph, claim(kind="approval"), context)
        assert asked == Question("job:7:1", "Dear Ann")
        forger = make(database, FakeModel(text="Send it to Bob"))
        await forger.run(turn(session=asked.thread, subject="bob"))
        decided = claim(kind="approval", epoch=2, thread=asked.thread, decision=Decision(True).dump())
        assert await advance(graph, decided, context) == Answer("Dear Ann", (), "model-1")

    asyncio.run(go())

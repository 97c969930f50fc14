"""Turns on a real Postgres: one answer a key, whatever breaks and whoever else tries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from sut.app.service import retrieval
from sut.app.service.database import (
    CONNECT,
    TROUBLE,
    Connection,
    DroppingConnection,
    Pool,
    checkout,
    make_pool,
)
from sut.app.service.embedding import DIMENSIONS, Embedded
from sut.app.service.errors import Refusal
from sut.app.service.freshness import POSITION, Watermarks
from sut.app.service.graph import build
from sut.app.service.ingest import Document, Ingester, embed_documents
from sut.app.service.runner import Runner
from sut.app.service.state import HISTORY, Answer

from .fakes import FakeCache, FakeModel, FakeRetriever, FakeTool, Hook, models, nothing, turn

pytestmark = pytest.mark.integration


@asynccontextmanager
async def pooled(dsn: str, name: str) -> AsyncIterator[Pool]:
    """A pool whose connections can be told by `name` in pg_stat_activity."""
    address = f"{dsn}?application_name={name}"
    async with make_pool(address, name=name, size=4, check_timeout=1) as pool:
        yield pool


def replica(
    pool: Pool,
    *,
    model: FakeModel | None = None,
    retrieve: Hook = nothing,
    deadline: float = 4.0,
    start_within: float = 2.0,
) -> Runner:
    """A replica's runner on its own pool."""
    asking = models(model or FakeModel(), FakeModel("model-2"), timeout=deadline)
    return Runner(
        pool,
        build(),
        FakeCache(),
        FakeRetriever(before=retrieve),
        FakeTool(),
        asking,
        replica=pool.name,
        deadline=deadline,
        start_within=start_within,
    )


async def kill(dsn: str, name: str) -> None:
    """End every server process of the pool `name`, as a crash of the primary would."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = %s",
            (name,),
        )


def once(action: Callable[[], Awaitable[None]]) -> Hook:
    """A hook that acts at its first call only."""
    done = False

    async def hook() -> None:
        nonlocal done
        if not done:
            done = True
            await action()

    return hook


def test_a_repeated_key_is_answered_from_the_store_without_work(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "again") as pool:
            model = FakeModel()
            runner = replica(pool, model=model)
            first = await runner.run(turn(session="again"))
            second = await runner.run(turn(session="again"))
            assert (first.replayed, second.replayed) == (False, True)
            assert first.text == second.text
            assert model.calls == 1
            assert (await runner.read("again", "ann"))["ids"] == ["k1"]

    asyncio.run(go())


def test_a_model_is_shown_the_last_exchanges_of_the_session_only(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "long") as pool:
            model = FakeModel()
            runner = replica(pool, model=model)
            await runner.run(turn(session="another", message="not this"))
            for number in range(HISTORY + 3):
                await runner.run(turn(f"k{number}", "long", f"question {number}"))
            said = [str(message.content) for message in model.seen[-1][1:]]
            assert said[::2] == [f"question {number}" for number in range(2, HISTORY + 3)]

    asyncio.run(go())


def test_a_session_is_read_up_to_its_last_turns(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "read") as pool:
            runner = replica(pool)
            for number in range(3):
                await runner.run(turn(f"k{number}", "read"))
            found = [await runner.read("read", "ann", limit) for limit in (2, 3)]
            assert [(each["ids"], each["more"]) for each in found] == [
                (["k1", "k2"], True),
                (["k0", "k1", "k2"], False),
            ]

    asyncio.run(go())


def test_one_key_at_two_replicas_at_once_is_stored_once(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "one") as one, pooled(dsn, "two") as two:
            runners = [replica(one), replica(two)]
            asked = [runners[n % 2].run(turn(session="both")) for n in range(8)]
            answers = await asyncio.gather(*asked)
            assert sum(not answer.replayed for answer in answers) == 1
            assert (await runners[0].read("both", "ann"))["ids"] == ["k1"]

    asyncio.run(go())


def test_many_turns_at_two_replicas_form_one_unforked_chain(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "one") as one, pooled(dsn, "two") as two:
            runners = [replica(one), replica(two)]
            await asyncio.gather(*(runners[n % 2].run(turn(f"k{n}", "chain")) for n in range(10)))
            ids = (await runners[0].read("chain", "ann"))["ids"]
            assert isinstance(ids, list)
            assert sorted(ids) == [f"k{n}" for n in range(10)]
            async with one.connection() as conn:
                forks = await conn.execute(
                    "SELECT parent_checkpoint_id FROM checkpoints WHERE thread_id = 'chat:chain'"
                    " GROUP BY parent_checkpoint_id HAVING count(*) > 1"
                )
                assert await forks.fetchall() == []

    asyncio.run(go())


def test_a_turn_is_checkpointed_from_its_call_of_the_models_on(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "dear") as pool:
            runner = replica(pool)
            await runner.run(turn("k1", "dear"))
            await runner.run(turn("k2", "dear", "And then?"))
            async with pool.connection() as conn:
                kept = await conn.execute(
                    "SELECT (checkpoint -> 'channel_values' ? 'branch:to:generate') AS asks,"
                    " checkpoint -> 'channel_values' ->> 'answer' AS answer"
                    " FROM checkpoints WHERE thread_id = 'chat:dear' ORDER BY checkpoint_id"
                )
                rows = [(row["asks"], row["answer"]) for row in await kept.fetchall()]
                answer = "hello there"
                assert rows == [(True, ""), (False, answer), (False, answer)] * 2

    asyncio.run(go())


@pytest.mark.parametrize("point", ["retrieve", "generate", "store"])
def test_a_connection_lost_at_any_point_costs_no_turn_and_doubles_none(
    dsn: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = once(lambda: kill(dsn, f"crash-{point}"))
    if point == "store":
        # The worst moment: the turn is committed, but its runner never hears of it.
        from sut.app.service import turns

        store = turns.store

        async def stored_then_crashed(*args: object, **options: bool) -> Answer:
            answer: Answer = await store(*args, **options)  # type: ignore[arg-type]
            await crash()
            return answer

        monkeypatch.setattr(turns, "store", stored_then_crashed)

    async def go() -> None:
        async with pooled(dsn, f"crash-{point}") as pool:
            model = FakeModel(before=crash if point == "generate" else nothing)
            runner = replica(pool, model=model, retrieve=crash if point == "retrieve" else nothing)
            answer = await runner.run(turn(session=f"crash-{point}"))
            assert answer.text == "hello there"
            assert not answer.replayed
            assert (await runner.read(f"crash-{point}", "ann"))["ids"] == ["k1"]
            assert model.calls == (2 if point == "generate" else 1)
            # What was stored belongs to the conversation, whether or not its last checkpoint was written.
            await runner.run(turn("k2", f"crash-{point}", "And then?"))
            said = [message.content for message in model.seen[-1][1:]]
            assert said == ["How?", "hello there", "And then?"]

    asyncio.run(go())


def test_a_turn_refused_before_it_began_is_certain_not_to_be_applied(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "refused") as pool:
            blocked = asyncio.Event()
            first = replica(pool, retrieve=once(lambda: _until(blocked)))
            running = asyncio.create_task(first.run(turn("k1", "busy")))
            await asyncio.sleep(0)
            async with pooled(dsn, "later") as later:
                hasty = replica(later, start_within=0.3)
                async with later.connection() as conn:
                    await _locked(conn)
                refused = [hasty.run(turn(f"k{n}", "busy")) for n in (2, 3)]
                outcomes = await asyncio.gather(*refused, return_exceptions=True)
            blocked.set()
            assert (await running).text == "hello there"
            assert all(isinstance(o, Refusal) and o.status == 503 and o.not_applied for o in outcomes)
            assert (await first.read("busy", "ann"))["ids"] == ["k1"]

    asyncio.run(go())


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _locked(conn: Connection) -> None:
    """Wait until some session's lock is held."""
    async with asyncio.timeout(5):
        while True:
            row = await (
                await conn.execute("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'")
            ).fetchone()
            if row and row["n"]:
                return


def test_sessions_and_keys_belong_to_their_owner_and_message(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "owner") as pool:
            runner = replica(pool)
            await runner.run(turn(session="mine"))
            with pytest.raises(Refusal, match="someone else"):
                await runner.run(turn("k2", "mine", subject="bob"))
            with pytest.raises(Refusal, match="someone else"):
                await runner.read("mine", "bob")
            with pytest.raises(Refusal, match="another message"):
                await runner.run(turn(session="mine", message="Something else?"))
            assert await runner.read("never written", "bob") == {
                "session": "never written",
                "ids": [],
                "turns": [],
                "more": False,
                "degraded": [],
                "usage": {"prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0},
            }
            assert (await runner.read("mine", "ann"))["ids"] == ["k1"]

    asyncio.run(go())


def test_a_server_that_does_not_accept_writes_is_given_to_nobody(dsn: str) -> None:
    async def go() -> None:
        address = f"{dsn}?options=-c%20default_transaction_read_only%3Don"
        kept = {key: value for key, value in CONNECT.items() if key != "options"}
        async with make_pool(address, name="standby", size=2, check_timeout=1) as pool:
            pool.kwargs = {**kept, "autocommit": True}
            await pool.drain()
            with pytest.raises(PoolTimeout):
                async with pool.connection(timeout=1.0):
                    pytest.fail("given out")

    asyncio.run(go())


def test_who_is_cancelled_in_a_transaction_ends(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "cancelled") as pool:
            asking = asyncio.Event()

            async def work() -> None:
                while True:
                    with suppress(*TROUBLE):
                        async with checkout(pool, 1.0) as conn, conn.transaction():
                            asking.set()
                            await conn.execute("SELECT pg_sleep(20)")

            task = asyncio.create_task(work())
            await asking.wait()
            await asyncio.sleep(0.2)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done
            assert task.cancelled()

    asyncio.run(go())


def test_an_abandoned_statement_closes_its_connection_instead_of_being_cancelled(dsn: str) -> None:
    async def go() -> None:
        async with await DroppingConnection.connect(dsn, autocommit=True) as conn:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await conn.execute("SELECT pg_sleep(1.5), 'abandoned'")
            assert conn.closed
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
            seen = await other.execute(
                "SELECT state FROM pg_stat_activity"
                " WHERE query LIKE '%''abandoned''%' AND pid <> pg_backend_pid()"
            )
            assert await seen.fetchone() == ("active",)

    asyncio.run(go())


class Axes:
    """An embedder whose vector for a text is the axis of its first letter, in a space shifted by `shift`."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return Embedded("m-1", self._axis("canary"), [self._axis(text) for text in texts])

    def _axis(self, text: str) -> list[float]:
        number = (ord(text[0].lower()) + self.shift) % DIMENSIONS
        return [1.0 if index == number else 0.0 for index in range(DIMENSIONS)]


def test_documents_are_found_by_their_owner_in_one_space_only(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "documents") as pool:
            while not await embed_documents(pool, Axes()):
                pass
            async with pool.connection() as conn:
                row = await (await conn.execute(POSITION)).fetchone()
                assert row is not None and row["position"] > 0

            def found(subject: str, shift: int = 0) -> Awaitable[retrieval.Found]:
                watermarks = Watermarks()
                searcher = retrieval.VectorRetriever(
                    [pool], Axes(shift), watermarks, timeout=2.0, stale_after=3.0, count=1
                )
                return searcher.search("Zebras?", subject)

            ingester = Ingester(pool, Axes(), deadline=4.0)
            given = [Document("d1", "Zebras are striped."), Document("d2", "Quails are not.")]
            assert await ingester.ingest("ann", given) == 2
            assert await ingester.ingest("ann", given) == 0
            assert await found("ann") == retrieval.Found(("Zebras are striped.",))
            assert (await found("bob")).texts != ("Zebras are striped.",)
            assert await ingester.ingest("ann", [Document("d1", "Zebras are shy.")]) == 1
            assert (await found("ann")).texts == ("Zebras are shy.",)
            with pytest.raises(retrieval.RetrievalUnavailable, match="another space"):
                await found("ann", shift=1)
            with pytest.raises(Refusal, match="another space"):
                await Ingester(pool, Axes(1), deadline=4.0).ingest("ann", [Document("d3", "No.")])

    asyncio.run(go())

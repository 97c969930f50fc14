"""Content at rest: sealed wherever it is kept, opened by every key, unreadable without."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypedDict, cast

import pytest
from cryptography.fernet import Fernet
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from sut.app.service import turns
from sut.app.service.breaker import Breaker
from sut.app.service.cache import RedisCache
from sut.app.service.config import Settings
from sut.app.service.content import MARK, Box, ContentSerializer, SealedSaver, Unreadable, keys
from sut.app.service.database import Pool
from sut.app.service.errors import Refusal
from sut.app.service.freshness import Watermarks
from sut.app.service.graph import TurnSaver
from sut.app.service.ingest import Document, Ingester, embed_documents
from sut.app.service.jobs import Decision, Jobs, NewJob, decided
from sut.app.service.leases import Leases
from sut.app.service.retrieval import VectorRetriever
from sut.app.service.state import Answer
from sut.settings import CONTENT_KEY, NEXT_CONTENT_KEY

from .fakes import FakeModel, turn
from .queuefakes import claim
from .test_cache import FakeRedis
from .test_ingest import Database as Documents
from .test_ingest import FakeEmbedder
from .test_jobs_api import FakeTable
from .test_retrieval import Database as Searched
from .test_retrieval import FakeEmbedder as SearchEmbedder
from .test_work import make

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
PRIVATE = "my-private-words"


def box(*lines: str) -> Box:
    """A box of these keys."""
    made = keys("\n".join(lines)) if lines else None
    return Box(lambda: made)


def test_what_is_sealed_is_unreadable_opens_again_and_differs_each_time() -> None:
    sealed = box(OLD).seal("Grüße")
    assert sealed.startswith(MARK) and "Gr" not in sealed
    assert box(OLD).open(sealed) == "Grüße"
    assert box(OLD).seal("Grüße") != sealed


def test_a_rotated_in_key_seals_and_the_old_one_still_opens() -> None:
    old = box(OLD).seal(PRIVATE)
    both = box(NEW, OLD)
    assert both.open(old) == PRIVATE
    assert box(NEW).open(both.seal(PRIVATE)) == PRIVATE


@pytest.mark.parametrize("lines", [(), (NEW,)])
def test_without_its_key_it_is_unreadable(lines: tuple[str, ...]) -> None:
    with pytest.raises(Unreadable):
        box(*lines).open(box(OLD).seal(PRIVATE))


def test_keys_that_would_take_each_others_tokens_for_their_own_are_refused() -> None:
    first, second = (urlsafe_b64encode(b"one signing half" + half * 16).decode() for half in (b"a", b"b"))
    with pytest.raises(ValueError, match="same signing half"):
        keys(f"{first}\n{second}")
    keys(f"{first}\n{first}")


def test_the_samples_own_keys_can_be_rotated() -> None:
    keys(f"{CONTENT_KEY}\n{NEXT_CONTENT_KEY}")


def test_what_was_tampered_with_does_not_open() -> None:
    sealed = box(OLD).seal(PRIVATE)
    with pytest.raises(Unreadable):
        box(OLD).open(sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:])


def test_what_was_stored_before_there_were_keys_is_read_as_it_is() -> None:
    assert box(OLD).open(PRIVATE) == PRIVATE
    assert box().seal(PRIVATE) == PRIVATE


def test_the_service_seals_by_the_keys_that_it_is_given() -> None:
    settings = Settings(content_keys=OLD)
    assert settings.box.seal(PRIVATE) != PRIVATE
    assert box(OLD).open(settings.box.seal(PRIVATE)) == PRIVATE


class Row:
    """A connection that notes what it is sent, and answers with `row`."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row, self.sent = row, ""

    async def execute(self, query: str, parameters: Any = ()) -> Row:
        self.sent += str(parameters)
        return self

    async def fetchone(self) -> dict[str, Any]:
        return self.row

    async def fetchall(self) -> list[dict[str, Any]]:
        return [self.row]

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Row]:
        """As a pool's."""
        yield self


def test_the_tables_hold_no_words_and_give_them_back() -> None:
    asked, found = turn(message=PRIVATE), box(NEW, OLD)
    row = {
        "sub": "ann",
        "id": "k1",
        "seq": 1,
        "earlier": box(OLD).seal(PRIVATE),
        "billed": False,
        "message": found.seal(PRIVATE),
        "answer": found.seal("said"),
        "degraded": [],
        "model": "m",
        "history": [[found.seal("before"), found.seal("then")]],
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost_micros": 0,
    }
    conn: Any = Row(row)
    admission = asyncio.run(turns.admit(conn, asked, found))
    assert admission.stored is not None and admission.stored.text == "said"
    assert admission.history == (("before", "then"),)
    asyncio.run(turns.store(conn, asked, Answer("an-answer", (), "m"), "app-1", found))
    assert MARK in conn.sent
    assert PRIVATE not in conn.sent and "an-answer" not in conn.sent
    read = asyncio.run(turns.read_session(conn, "s1", "ann", found))
    assert read["turns"] == [{"id": "k1", "message": PRIVATE, "answer": "said"}]


def test_an_accepted_job_holds_no_words_and_is_found_again_by_them() -> None:
    table, found = FakeTable(), box(NEW, OLD)
    jobs = Jobs(cast(Pool, table), deadline=4.0, box=found)
    job = NewJob("ann", "k1", "s1", "summary", PRIVATE, "0" * 32)
    asyncio.run(jobs.accept(job))
    assert table.rows["k1"]["input"].startswith(MARK)
    assert asyncio.run(jobs.accept(job))["replayed"] is True
    with pytest.raises(Refusal):
        asyncio.run(jobs.accept(replace(job, input="others")))
    table.rows["k1"] |= {"question": found.seal("Sure?"), "answer": box(OLD).seal(PRIVATE)}
    table.rows["k1"] |= {"model": "m", "done_by": "worker-1", "degraded": []}
    read = asyncio.run(jobs.read("k1", "ann"))
    assert (read["question"], read["result"]["answer"]) == ("Sure?", PRIVATE)


def test_a_worker_reads_what_is_sealed_and_seals_what_it_stores() -> None:
    found, conn = box(NEW, OLD), Row({"seq": 7, "seconds": 1.0})
    leases = Leases(cast(Pool, conn), "worker-1", lease=4, republish=5, most=5, box=found)
    asyncio.run(leases.store(claim(), Answer("an-answer", (), "m")))
    asyncio.run(leases.ask(claim(), "t", "a-question"))
    assert conn.sent.count(MARK) == 2
    assert "an-answer" not in conn.sent and "a-question" not in conn.sent
    model = FakeModel()
    work = replace(make(model, FakeModel()), box=found)
    asyncio.run(work(claim(input=box(OLD).seal(PRIVATE))))
    assert str(model.seen[0][1].content) == PRIVATE
    with pytest.raises(Unreadable):
        asyncio.run(work(claim(input=box(Fernet.generate_key().decode()).seal(PRIVATE))))


def test_a_sealed_decision_is_known_again() -> None:
    found, decision = box(OLD), Decision(True, PRIVATE)
    sealed = found.seal(decision.dump())
    row = {"decision_key": "d1", "decision": sealed, "status": "queued"}
    assert decided(row, "d1", decision, found) is True
    assert claim(decision=sealed).opened(found).decision == decision.dump()
    with pytest.raises(Refusal):
        decided(row, "d1", Decision(False), found)


def test_the_cache_holds_no_words_and_misses_what_no_key_opens() -> None:
    redis: Any = FakeRedis()

    def cache(found: Box) -> RedisCache:
        return RedisCache(redis, Breaker("redis"), timeout=1, box=found)

    asyncio.run(cache(box(OLD)).put("k", PRIVATE))
    assert PRIVATE.encode() not in redis.kept["k"][0]
    assert asyncio.run(cache(box(NEW, OLD)).get("k")) == PRIVATE
    redis.kept["planted"] = (b"others-words", *redis.kept["k"][1:])
    assert asyncio.run(cache(box(OLD)).get("planted")) is None
    assert asyncio.run(cache(box(OLD)).get_stale("planted")) is None
    assert asyncio.run(cache(box()).get("planted")) == "others-words"
    assert asyncio.run(cache(box(NEW, OLD)).get_stale("k")) == PRIVATE
    assert asyncio.run(cache(box(NEW)).get("k")) is None
    assert asyncio.run(cache(box(NEW)).get_stale("k")) is None


def test_the_index_holds_no_words_of_documents_and_gives_them_back() -> None:
    table = Documents()
    pool, embedder = cast(Pool, table), FakeEmbedder(table)

    def ingest(found: Box, content: str) -> int:
        ingester = Ingester(pool, embedder, deadline=2.0, box=found)
        return asyncio.run(ingester.ingest("ann", [Document("d1", content)]))

    def search(found: Box, stored: str) -> tuple[str, ...]:
        standby = cast(Pool, Searched([stored, "everybody's"]))
        retriever = VectorRetriever(
            [standby], SearchEmbedder(), Watermarks(), timeout=1.0, stale_after=3.0, box=found
        )
        return asyncio.run(retriever.search("How?", "ann")).texts

    assert ingest(box(OLD), PRIVATE) == 1
    stored = table.documents["ann", "d1"][0]
    assert stored.startswith(MARK) and PRIVATE not in str(table.documents)
    assert embedder.asked == [[PRIVATE]], "the vector is that of the words"
    assert ingest(box(NEW, OLD), PRIVATE) == 0, "the same again, after a rotation too"
    assert search(box(NEW, OLD), stored) == (PRIVATE, "everybody's")
    assert search(box(NEW), stored) == ("everybody's",)
    assert ingest(box(NEW), PRIVATE) == 1, "what no key opens is taken in anew"
    assert box(NEW).open(table.documents["ann", "d1"][0]) == PRIVATE


def test_a_sealed_document_without_a_vector_gets_that_of_its_words() -> None:
    lost = box(Fernet.generate_key().decode()).seal("lost")
    table = Documents(bare=[{"id": 6, "content": lost}, {"id": 7, "content": box(OLD).seal(PRIVATE)}])
    embedder = FakeEmbedder(table)
    assert asyncio.run(embed_documents(cast(Pool, table), embedder, box(OLD))) is False
    assert (embedder.asked, list(table.documents)) == ([[PRIVATE]], [("", "7")])


class State(TypedDict, total=False):
    message: str
    listed: list[str]


class MemorySaver(SealedSaver, InMemorySaver):
    """langgraph's own saver, sealing."""

    def __init__(self, found: Box) -> None:
        InMemorySaver.__init__(self, serde=ContentSerializer(found))
        self.box = found


@pytest.mark.parametrize("lines", [(OLD,), ()], ids=["keys", "none"])
def test_a_checkpoint_holds_no_words_and_a_graph_goes_on_from_it(lines: tuple[str, ...]) -> None:
    async def grow(state: State) -> State:
        return {"message": state["message"] + "!", "listed": [*state.get("listed", []), PRIVATE]}

    graph = StateGraph(State)
    graph.add_node("grow", grow)
    graph.add_edge(START, "grow")
    graph.add_edge("grow", END)
    saver = MemorySaver(box(*lines))
    compiled = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}

    async def go() -> Any:
        await compiled.ainvoke({"message": PRIVATE}, config, durability="sync")
        return await compiled.aget_state(config)

    assert asyncio.run(go()).values == {"message": f"{PRIVATE}!", "listed": [PRIVATE]}
    kept = str([dict(saver.storage), dict(saver.blobs), dict(saver.writes)])
    assert (PRIVATE in kept) is not bool(lines)


def test_the_savers_row_in_postgres_holds_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Cursor:
        async def execute(self, query: str, parameters: Any) -> None:
            sent.extend(getattr(p, "obj", p) for p in parameters)

        async def executemany(self, query: str, rows: Any) -> None:
            sent.extend(rows)

    @asynccontextmanager
    async def cursor(*_: Any, **__: Any) -> AsyncIterator[Cursor]:
        yield Cursor()

    async def go() -> None:
        conn: Any = None
        saver = TurnSaver(conn, box(OLD))
        monkeypatch.setattr(saver, "_cursor", cursor)
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        checkpoint: Any = {
            "v": 4,
            "id": "1",
            "ts": "",
            "channel_versions": {},
            "versions_seen": {},
            "channel_values": {"message": PRIVATE, "__start__": {"message": PRIVATE}},
        }
        await saver.aput(config, checkpoint, {}, {"__start__": "1", "message": "1"})

    asyncio.run(go())
    assert MARK in json.dumps(sent, default=str)
    assert PRIVATE not in str(sent)

"""Documents taken in: what is embedded, what is written, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest

from sut.app.service.bounded import BoundedIngester
from sut.app.service.bulkhead import Bulkhead
from sut.app.service.database import Connection, Pool
from sut.app.service.deadline import narrowed
from sut.app.service.embedding import DIMENSIONS, Embedded, OtherSpace, vector_text
from sut.app.service.errors import CutShort, Refusal
from sut.app.service.ingest import Document, Ingester, admit_space, embed_documents

CANARY = [1.0, *[0.0] * (DIMENSIONS - 1)]
OTHER = [0.0, 1.0, *[0.0] * (DIMENSIONS - 2)]
ONE, TWO = Document("d1", "one"), Document("d2", "two")


@dataclass
class Database:
    """Stands in for the statements of the module; `lent` counts connections in use."""

    space: tuple[str, list[float]] | None = None
    documents: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    lent: int = 0
    down: bool = False
    fails_writing: bool = False
    answer: list[dict[str, Any]] = field(default_factory=list)
    bare: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Database]:
        if self.down:
            raise psycopg.OperationalError("down")
        self.lent += 1
        try:
            yield self
        finally:
            self.lent -= 1

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        before = self.space, dict(self.documents)
        try:
            yield
        except BaseException:
            self.space, self.documents = before
            raise

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Database]:
        yield self

    async def execute(self, query: str, given: Sequence[Any] = ()) -> Database:
        if query.startswith("INSERT INTO embedding_space"):
            self.space = self.space or (given[0], [float(v) for v in given[1].strip("[]").split(",")])
        elif "FROM embedding_space" in query:
            assert self.space is not None
            self.answer = [{"model": self.space[0], "canary": vector_text(self.space[1])}]
        elif "WHERE embedding IS NULL" in query:
            self.answer = self.bare
        else:
            owner, names = given
            known = {n: self.documents[owner, n][0] for n in names if (owner, n) in self.documents}
            self.answer = [{"name": name, "content": content} for name, content in known.items()]
        return self

    async def executemany(self, query: str, rows: list[tuple[Any, ...]]) -> None:
        if self.fails_writing:
            raise psycopg.OperationalError("gone")
        for row in rows:
            if query.startswith("UPDATE"):
                self.documents["", str(row[2])] = ("", row[1])
            else:
                self.documents[row[0], row[1]] = (row[2], row[4])

    async def fetchall(self) -> list[dict[str, Any]]:
        return self.answer

    async def fetchone(self) -> dict[str, Any] | None:
        return self.answer[0] if self.answer else None


@dataclass
class FakeEmbedder:
    """Vectors of `canary`'s space under the name `model`, or a failure."""

    database: Database
    model: str = "m-1"
    canary: list[float] = field(default_factory=lambda: CANARY)
    failure: Exception | None = None
    asked: list[list[str]] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        assert self.database.lent == 0, "a slow provider would hold up whoever needs a connection"
        self.asked.append(list(texts))
        if self.failure is not None:
            raise self.failure
        return Embedded(self.model, self.canary, [OTHER] * len(texts))


def ingest(embedder: FakeEmbedder, *documents: Document, one_space: bool = True) -> int:
    ingester = Ingester(cast(Pool, embedder.database), embedder, deadline=2.0, one_space=one_space)
    return asyncio.run(ingester.ingest("ann", documents))


def refused(embedder: FakeEmbedder, *documents: Document) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ingest(embedder, *documents)
    return caught.value


def test_the_first_batch_begins_the_index() -> None:
    database = Database()
    assert ingest(FakeEmbedder(database), ONE, TWO) == 2
    assert database.space == ("m-1", CANARY)
    assert database.documents == {("ann", "d1"): ("one", "m-1"), ("ann", "d2"): ("two", "m-1")}


def test_what_is_known_is_neither_embedded_nor_written_again() -> None:
    database = Database()
    embedder = FakeEmbedder(database)
    ingest(embedder, ONE)
    assert ingest(embedder, ONE) == 0
    assert ingest(embedder, ONE, TWO) == 1
    assert embedder.asked == [["one"], ["two"]]


def test_a_new_content_replaces_the_old_one() -> None:
    database = Database()
    ingest(FakeEmbedder(database), ONE)
    assert ingest(FakeEmbedder(database), Document("d1", "other")) == 1
    assert database.documents == {("ann", "d1"): ("other", "m-1")}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"canary": OTHER}, "another space"),
        ({"model": "m-2"}, "'m-2'; the index has 'm-1'"),
        ({"canary": [*CANARY, 0.0]}, "65 dimensions; the index has 64"),
    ],
)
def test_vectors_of_another_space_are_refused_and_nothing_is_written(
    other: dict[str, Any], said: str
) -> None:
    database = Database()
    ingest(FakeEmbedder(database), ONE)
    refusal = refused(FakeEmbedder(database, **other), TWO)
    assert (refusal.status, refusal.not_applied) == (502, True)
    assert said in refusal.reason
    assert list(database.documents) == [("ann", "d1")]


def test_an_index_is_not_begun_with_another_dimension() -> None:
    database = Database()
    assert refused(FakeEmbedder(database, canary=[1.0]), ONE).status == 502
    assert database.space is None


def test_the_control_without_the_check_mixes_two_spaces() -> None:
    database = Database()
    ingest(FakeEmbedder(database), ONE)
    assert ingest(FakeEmbedder(database, canary=OTHER), TWO, one_space=False) == 1


@pytest.mark.parametrize("failure", [ConnectionResetError(), TimeoutError(), ValueError()])
def test_without_embeddings_a_client_is_told_to_come_back(failure: Exception) -> None:
    refusal = refused(FakeEmbedder(Database(), failure=failure), ONE)
    assert (refusal.status, refusal.retry_after, refusal.not_applied) == (503, 2, True)


@pytest.mark.parametrize("failure", [None, CutShort()], ids=["all of it is late", "its vectors are"])
def test_who_no_longer_waits_is_not_told_that_something_is_broken(failure: Exception | None) -> None:
    @dataclass
    class Slow(FakeEmbedder):
        async def embed(self, texts: Sequence[str]) -> Embedded:
            if failure is None:
                await asyncio.Event().wait()
            return await super().embed(texts)

    database = Database()

    async def go() -> None:
        with narrowed(0.05):
            ingester = Ingester(cast(Pool, database), Slow(database, failure=failure), deadline=60.0)
            with pytest.raises(Refusal) as caught:
                await ingester.ingest("ann", [ONE])
        assert (caught.value.status, caught.value.not_applied) == (504, True)

    asyncio.run(asyncio.wait_for(go(), 10))
    assert database.documents == {}


def test_one_who_comes_while_others_take_documents_in_is_told_to_come_back() -> None:
    async def go() -> None:
        embedder = FakeEmbedder(Database())
        bulkhead = Bulkhead("documents", 1, wait_s=0.01)
        bounded = BoundedIngester(Ingester(cast(Pool, embedder.database), embedder, deadline=2.0), bulkhead)
        async with bulkhead.enter():
            with pytest.raises(Refusal, match="too many documents") as caught:
                await bounded.ingest("ann", [ONE])
        assert (caught.value.status, caught.value.not_applied) == (503, True)
        assert await bounded.ingest("ann", [ONE]) == 1

    asyncio.run(go())


@pytest.mark.parametrize(("how", "certain"), [({"down": True}, True), ({"fails_writing": True}, False)])
def test_a_database_that_fails_while_writing_may_have_written(how: dict[str, bool], certain: bool) -> None:
    refusal = refused(FakeEmbedder(Database(**how)), ONE)  # type: ignore[arg-type]
    assert (refusal.status, refusal.retry_after, refusal.not_applied) == (503, 1, certain)


def test_documents_without_a_vector_get_one_of_the_index_only() -> None:
    database = Database(bare=[{"id": 7, "content": "seven"}])
    pool, embedder = cast(Pool, database), FakeEmbedder(database)
    assert asyncio.run(embed_documents(pool, embedder)) is False
    assert (database.space, database.documents) == (("m-1", CANARY), {("", "7"): ("", "m-1")})
    with pytest.raises(OtherSpace):
        asyncio.run(embed_documents(pool, FakeEmbedder(database, canary=OTHER)))
    database.bare = []
    assert asyncio.run(embed_documents(pool, embedder)) is True
    assert embedder.asked == [["seven"]]


def test_an_index_that_another_replica_began_stands() -> None:
    database = Database(space=("m-1", CANARY))
    with pytest.raises(OtherSpace):
        asyncio.run(admit_space(cast(Connection, database), Embedded("m-1", OTHER, [])))
    assert database.space == ("m-1", CANARY)

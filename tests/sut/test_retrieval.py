"""Which database is asked for documents, and what is refused, declared or given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest

from sut.app.service.content import MARK
from sut.app.service.database import Pool
from sut.app.service.embedding import DIMENSIONS, Embedded, vector_text
from sut.app.service.freshness import Watermarks
from sut.app.service.retrieval import Found, RetrievalUnavailable, VectorRetriever

CANARY = [1.0, *[0.0] * (DIMENSIONS - 1)]
OTHER = [0.0, 1.0, *[0.0] * (DIMENSIONS - 2)]


@dataclass
class Database:
    """A pool of one server: answers with `row`, fails, or hangs."""

    found: list[str] = field(default_factory=lambda: ["one"])
    replayed: int | None = None
    canary: list[float] | None = field(default_factory=lambda: CANARY)
    trouble: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Database]:
        if self.trouble == "down":
            raise psycopg.OperationalError("down")
        yield self

    async def execute(self, query: str, given: dict[str, Any]) -> Database:
        self.asked.append(given)
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        return self

    async def fetchone(self) -> dict[str, Any]:
        model = None if self.canary is None else "m-1"
        canary = None if self.canary is None else vector_text(self.canary)
        return {"model": model, "canary": canary, "replayed": self.replayed, "found": self.found}


@dataclass
class FakeEmbedder:
    """Answers in its space, or fails."""

    fresh: Embedded | Exception = field(default_factory=lambda: Embedded("m-1", CANARY, [OTHER]))

    async def embed(self, texts: Sequence[str]) -> Embedded:
        if isinstance(self.fresh, Exception):
            raise self.fresh
        return self.fresh


def search(
    *databases: Database, embedder: FakeEmbedder | None = None, lag: float = 0.0, one_space: bool = True
) -> Found:
    """One search; a standby that has replayed 0 is `lag` seconds behind."""
    clock = [0.0]
    watermarks = Watermarks(lambda: clock[0])
    watermarks.note(100)
    clock[0] = lag
    retriever = VectorRetriever(
        cast(Sequence[Pool], databases),
        embedder or FakeEmbedder(),
        watermarks,
        timeout=0.05,
        stale_after=3.0,
        one_space=one_space,
    )

    async def go() -> Found:
        async with asyncio.timeout(5):
            return await retriever.search("How?", "ann")

    return asyncio.run(go())


def test_the_standby_is_asked_and_the_primary_left_alone() -> None:
    standby, primary = Database(["from the standby"], replayed=100), Database()
    assert search(standby, primary) == Found(("from the standby",), stale=False)
    assert [given["subject"] for given in standby.asked] == ["ann"]
    assert primary.asked == []


@pytest.mark.parametrize("trouble", ["down", "hangs"])
def test_the_primary_is_asked_when_the_standby_fails(trouble: str) -> None:
    standby, primary = Database(trouble=trouble), Database(["from the primary"])
    assert search(standby, primary, lag=99) == Found(("from the primary",), stale=False)


@pytest.mark.parametrize("trouble", ["down", "hangs"])
def test_without_any_database_there_is_no_retrieval(trouble: str) -> None:
    with pytest.raises(RetrievalUnavailable):
        search(Database(trouble=trouble), Database(trouble=trouble))


@pytest.mark.parametrize(("replayed", "lag", "stale"), [(0, 2.9, False), (0, 3.1, True), (100, 99, False)])
def test_only_a_standby_beyond_the_bound_is_stale(replayed: int, lag: float, stale: bool) -> None:
    assert search(Database(replayed=replayed), lag=lag).stale is stale


def test_a_standby_that_became_the_primary_is_not_stale() -> None:
    assert not search(Database(replayed=None), lag=99).stale


@pytest.mark.parametrize(
    "fresh",
    [
        Embedded("m-1", OTHER, [CANARY]),
        Embedded("m-2", CANARY, [OTHER]),
        Embedded("m-1", [*CANARY, 0.0], [[*OTHER, 0.0]]),
        ConnectionResetError("down"),
    ],
    ids=["space", "model", "dimension", "down"],
)
def test_vectors_that_are_missing_or_of_another_space_find_nothing(fresh: Embedded | Exception) -> None:
    with pytest.raises(RetrievalUnavailable):
        search(Database(), embedder=FakeEmbedder(fresh))


def test_the_control_without_the_check_takes_vectors_of_any_space() -> None:
    embedder = FakeEmbedder(Embedded("m-1", OTHER, [CANARY]))
    assert search(Database(), embedder=embedder, one_space=False).texts == ("one",)


def test_documents_that_no_key_opens_are_no_documents() -> None:
    with pytest.raises(RetrievalUnavailable, match="no key"):
        search(Database([f"{MARK}sealed by a key that is gone"]))


def test_an_index_that_is_not_begun_yet_has_nothing_to_find() -> None:
    with pytest.raises(RetrievalUnavailable, match="no document"):
        search(Database([], canary=None))

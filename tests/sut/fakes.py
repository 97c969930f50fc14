"""Stand-ins for what the service depends on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from sut.app.service.breaker import Breaker
from sut.app.service.bulkhead import Bulkhead
from sut.app.service.cache import CacheUnavailable
from sut.app.service.embedding import Embedded
from sut.app.service.ingest import Document
from sut.app.service.llm import ChatModel, Models, Provider, Target
from sut.app.service.retries import RetryBudget
from sut.app.service.retrieval import Found, RetrievalUnavailable
from sut.app.service.state import LISTED, Answer, Turn
from sut.app.service.tool import ToolUnavailable

Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """A hook that does nothing."""


@dataclass
class FakeCache:
    """A dictionary that can be down."""

    down: bool = False
    old: bool = False
    kept: dict[str, str] = field(default_factory=dict)

    async def get(self, key: str) -> str | None:
        """As Cache; what is kept is not fresh if `old`."""
        found = await self.get_stale(key)
        return None if self.old else found

    async def get_stale(self, key: str) -> str | None:
        """As Cache."""
        if self.down:
            raise CacheUnavailable("down")
        return self.kept.get(key)

    async def put(self, key: str, answer: str) -> None:
        """As Cache."""
        if self.down:
            raise CacheUnavailable("down")
        self.kept[key] = answer


@dataclass
class FakeRetriever:
    """Two documents, unless down."""

    down: bool = False
    stale: bool = False
    before: Hook = nothing

    async def search(self, question: str, subject: str) -> Found:
        """As Retriever."""
        await self.before()
        if self.down:
            raise RetrievalUnavailable("down")
        return Found(("one", "two"), self.stale)


@dataclass
class FakeTool:
    """One result, unless down."""

    down: bool = False

    async def search(self, question: str) -> list[str]:
        """As Tool."""
        if self.down:
            raise ToolUnavailable("down")
        return ["News: three"]


class NoEmbedder:
    """Never asked."""

    async def embed(self, texts: object) -> Embedded:
        """As Embedder."""
        raise AssertionError


@dataclass
class FakeIngester:
    """Takes everything in, or raises what it was given."""

    outcome: Exception | None = None
    taken: list[tuple[str, Document]] = field(default_factory=list)

    async def ingest(self, subject: str, documents: Sequence[Document]) -> int:
        """As Ingester."""
        if self.outcome is not None:
            raise self.outcome
        self.taken += [(subject, document) for document in documents]
        return len(documents)


@dataclass
class FakeModel:
    """A chat model that says `text` in `pieces`; fails after `fail_after` pieces when that is set."""

    name: str = "model-1"
    text: str = "hello there"
    finish: str | None = "stop"
    fail_after: int | None = None
    calls: int = 0
    seen: list[list[BaseMessage]] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    error: Exception = field(default_factory=lambda: ConnectionResetError("down"))
    before: Hook = nothing

    async def ainvoke(self, input: list[BaseMessage], **options: Any) -> BaseMessage:
        """As ChatModel."""
        self.calls += 1
        self.seen.append(input)
        self.options.append(options)
        await self.before()
        if self.fail_after is not None:
            raise self.error
        return AIMessage(self.text, response_metadata=self._meta())

    async def astream(self, input: list[BaseMessage], **options: Any) -> AsyncIterator[BaseMessage]:
        """As ChatModel."""
        self.calls += 1
        self.options.append(options)
        for number, word in enumerate(self.text.split()):
            if number == self.fail_after:
                raise self.error
            yield AIMessageChunk(content=word)
        yield AIMessageChunk(content="", response_metadata=self._meta())

    def _meta(self) -> dict[str, Any]:
        return {"model_name": self.name, "finish_reason": self.finish}


def target(
    client: ChatModel,
    provider: str = "primary",
    tier: str = "strong",
    breaker: Breaker | None = None,
    budget: RetryBudget | None = None,
    name: str = "",
) -> Target:
    """A model at a provider of its own, without limits unless given."""
    at = Provider(provider, Bulkhead(provider), budget or RetryBudget(None))
    return Target(at, tier, client, breaker or Breaker(f"llm-{provider}"), name)


def models(
    primary: ChatModel, fallback: ChatModel, breaker: Breaker | None = None, timeout: float = 1.0
) -> Models:
    """Two providers with one model each."""
    return Models([target(primary, breaker=breaker), target(fallback, "fallback")], timeout=timeout)


@dataclass
class FakeRunner:
    """Answers or raises what it was given."""

    outcome: Answer | Exception = field(default_factory=lambda: Answer("hi", ("no-cache",), "model-1"))
    turns: list[Turn] = field(default_factory=list)
    read_degraded: tuple[str, ...] = ()
    read_limits: list[int] = field(default_factory=list)

    async def run(self, turn: Turn, emit: Callable[[str, str], None] | None = None) -> Answer:
        """As TurnRunner; streams the answer's words."""
        self.turns.append(turn)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if emit is not None:
            for word in self.outcome.text.split():
                emit("token", word)
        return self.outcome

    async def read(self, session: str, subject: str, limit: int = LISTED) -> dict[str, Any]:
        """As TurnRunner."""
        self.read_limits.append(limit)
        return {"session": session, "ids": [], "turns": [], "degraded": list(self.read_degraded)}


def turn(id: str = "k1", session: str = "s1", message: str = "How?", subject: str = "ann") -> Turn:
    """A turn."""
    return Turn(session, id, subject, message, "0" * 32)

"""Answers in good form that are of no use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..answers import PIECE, Answer, Chat, Vectors
from ..calls import Call
from .base import WireFault, register, require


@register
@dataclass(frozen=True)
class MalformedToolCall(WireFault[Chat]):
    """A call of the first function that was offered, its arguments cut off in mid-JSON."""

    name: ClassVar[str] = "malformed_tool_call"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        pieces = tuple(PIECE.findall('{"query": "where is my'))
        return replace(answer, tool=_offered(call.body), pieces=pieces, finish="tool_calls")


@register
@dataclass(frozen=True)
class Empty(WireFault[Chat]):
    """No content, and finish_reason stop."""

    name: ClassVar[str] = "empty"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        return replace(answer, pieces=())


@register
@dataclass(frozen=True)
class ContentFilter(WireFault[Chat]):
    """The answer stops after `chunks` tokens with finish_reason content_filter."""

    name: ClassVar[str] = "content_filter"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    chunks: int = 0

    def __post_init__(self) -> None:
        require("chunks", self.chunks, int, 0, 10_000)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        return replace(answer, pieces=answer.pieces[: self.chunks], finish="content_filter")


@register
@dataclass(frozen=True)
class Refusal(WireFault[Chat]):
    """The model refuses: `refusal` holds its words, content is null, finish_reason is stop."""

    name: ClassVar[str] = "refusal"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        return replace(answer, pieces=tuple(PIECE.findall("I can't help with that.")), refusal=True)


@register
@dataclass(frozen=True)
class WrongModel(WireFault[Answer]):
    """The answer says that another model, `echo`, gave it."""

    name: ClassVar[str] = "wrong_model"
    endpoints: ClassVar[tuple[str, ...]] = ("chat", "embeddings")
    echo: str = "another-model"

    def __post_init__(self) -> None:
        if not isinstance(self.echo, str) or not self.echo:
            raise ValueError(f"echo must be the name of a model, not {self.echo!r}")

    def edit(self, answer: Answer, call: Call) -> Answer:
        """See WireFault.edit."""
        return replace(answer, model=self.echo)


@register
@dataclass(frozen=True)
class EmbeddingsDimension(WireFault[Vectors]):
    """Vectors of `dimensions`, whatever was asked for."""

    name: ClassVar[str] = "embeddings_dimension"
    endpoints: ClassVar[tuple[str, ...]] = ("embeddings",)
    dimensions: int = 63

    def __post_init__(self) -> None:
        require("dimensions", self.dimensions, int, 1, 4096)

    def edit(self, answer: Vectors, call: Call) -> Vectors:
        """See WireFault.edit."""
        return replace(answer, dimensions=self.dimensions)


@register
@dataclass(frozen=True)
class EmbeddingsSpace(WireFault[Vectors]):
    """Unit vectors of the right dimension in a space that has nothing to do with the model's own."""

    name: ClassVar[str] = "embeddings_space"
    endpoints: ClassVar[tuple[str, ...]] = ("embeddings",)

    def edit(self, answer: Vectors, call: Call) -> Vectors:
        """See WireFault.edit."""
        return replace(answer, seed=f"{answer.seed}-other")


def _offered(body: dict[str, Any]) -> str:
    """The name of the first function in the request's tools."""
    tools = body.get("tools") or [{}]
    function = tools[0].get("function") if isinstance(tools[0], dict) else None
    return str((function or {}).get("name") or "lookup")

"""Answers that break off, or whose bytes are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..answers import DONE, Answer, Chat
from ..calls import Call
from .base import Wire, WireFault, register, require

MOST = 10_000


@register
@dataclass(frozen=True)
class Cut(WireFault[Answer]):
    """A TCP reset after `chunks` events; of an answer that is not streamed after half of its body.

    The head of the answer is sent even if no chunk is.
    """

    name: ClassVar[str] = "cut"
    chunks: int = 3

    def __post_init__(self) -> None:
        require("chunks", self.chunks, int, 0, MOST)

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """See WireFault.send."""
        await wire.begin()
        if wire.answer.streamed:
            # Never the whole answer: that would be no cut.
            await super().send(wire, frames[: min(self.chunks, len(frames) - 1)])
        elif self.chunks:
            await wire.write(frames[0][: len(frames[0]) // 2])
        await wire.reset()


@register
@dataclass(frozen=True)
class Unfinished(WireFault[Chat]):
    """A clean end after `chunks` tokens at most: no finish_reason, no usage, no [DONE]."""

    name: ClassVar[str] = "unfinished"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    chunks: int = 3

    def __post_init__(self) -> None:
        require("chunks", self.chunks, int, 1, MOST)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        return replace(answer, pieces=answer.pieces[: self.chunks], finish=None)


@register
@dataclass(frozen=True)
class MalformedJson(WireFault[Answer]):
    """The body ends in the middle of its JSON, in good HTTP; of a stream one event in its middle does."""

    name: ClassVar[str] = "malformed_json"

    def encode(self, frames: list[bytes], streamed: bool) -> list[bytes]:
        """See WireFault.encode."""
        number = len(frames) // 2
        broken = frames[number][: len(frames[number]) // 2] + (b"\n\n" if streamed else b"")
        return [*frames[:number], broken, *frames[number + 1 :]]


@register
@dataclass(frozen=True)
class MalformedSse(WireFault[Chat]):
    """The blank lines between events are lost: the data of all runs together into one."""

    name: ClassVar[str] = "malformed_sse"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    shapes: ClassVar[tuple[bool, ...]] = (True,)

    def encode(self, frames: list[bytes], streamed: bool) -> list[bytes]:
        """See WireFault.encode."""
        return [f if f == DONE else f.removesuffix(b"\n") for f in frames]


@register
@dataclass(frozen=True)
class DuplicateChunk(WireFault[Chat]):
    """The event number `chunk`, counted from 1, comes twice; the last token if there are fewer."""

    name: ClassVar[str] = "duplicate_chunk"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    shapes: ClassVar[tuple[bool, ...]] = (True,)
    chunk: int = 2

    def __post_init__(self) -> None:
        require("chunk", self.chunk, int, 1, MOST)

    def edit(self, answer: Chat, call: Call) -> Chat:
        """See WireFault.edit."""
        at = min(self.chunk, len(answer.pieces))
        return replace(answer, pieces=answer.pieces[:at] + answer.pieces[at - 1 :])

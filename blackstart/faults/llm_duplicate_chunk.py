"""LLM duplicate chunk: a part of a stream comes twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmDuplicateChunk(LlmFault):
    """The token number `chunk` of a stream, from 1, comes twice; whole answers stay as they are."""

    kind: ClassVar[str] = "llm_duplicate_chunk"
    mode: ClassVar[Mode] = Mode.LOSSY
    wire: ClassVar[str] = "duplicate_chunk"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    chunk: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.chunk <= 10_000:
            raise ConfigError(f"chunk {self.chunk} is not from 1 to 10000")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"chunk": self.chunk}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        pieces = [choice.get("content") for choice in usual.choices()]
        again = [choice.get("content") for choice in seen.choices()]
        at = min(self.chunk, sum(map(bool, pieces)))
        twice = pieces[:at] + pieces[at - 1 :]
        return f"sends {pieces[at - 1]!r} twice" if again == twice else None


@constructor
def llm_duplicate_chunk(target: str, chunk: int = 2, **which: Unpack[Which]) -> LlmDuplicateChunk:
    """Send a chunk of a stream twice: `llm_duplicate_chunk("llm-1", chunk=3)`."""
    return LlmDuplicateChunk(target, chunk, **which)

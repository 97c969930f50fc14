"""LLM unfinished: an answer that ends cleanly, and too soon."""

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
class LlmUnfinished(LlmFault):
    """After `chunks` tokens the answer ends in good order: no finish_reason, no [DONE]."""

    kind: ClassVar[str] = "llm_unfinished"
    mode: ClassVar[Mode] = Mode.LOSSY
    wire: ClassVar[str] = "unfinished"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    chunks: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.chunks <= 10_000:
            raise ConfigError(f"chunks {self.chunks} is not from 1 to 10000")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"chunks": self.chunks}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        if seen.end != "whole" or seen.finish() is not None or "[DONE]" in seen.events:
            return None
        return f"ends without finish_reason after {len(seen.parts())} chunks"


@constructor
def llm_unfinished(target: str, chunks: int = 3, **which: Unpack[Which]) -> LlmUnfinished:
    """End answers cleanly before they are finished: `llm_unfinished("llm-1", chunks=5)`."""
    return LlmUnfinished(target, chunks, **which)

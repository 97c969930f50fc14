"""LLM content filter: the provider withholds the answer."""

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
class LlmContentFilter(LlmFault):
    """Answers stop after `chunks` tokens with finish_reason content_filter."""

    kind: ClassVar[str] = "llm_content_filter"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "content_filter"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    chunks: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.chunks <= 10_000:
            raise ConfigError(f"chunks {self.chunks} is not from 0 to 10000")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"chunks": self.chunks}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        return f"filters {seen.said()!r}" if seen.finish() == "content_filter" else None


@constructor
def llm_content_filter(target: str, chunks: int = 0, **which: Unpack[Which]) -> LlmContentFilter:
    """Filter answers, from the start or midway: `llm_content_filter("llm-1", chunks=4)`."""
    return LlmContentFilter(target, chunks, **which)

"""LLM context length: the conversation is too long for the model."""

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
class LlmContextLength(LlmFault):
    """Model calls are answered with 400 context_length_exceeded."""

    kind: ClassVar[str] = "llm_context_length"
    mode: ClassVar[Mode] = Mode.ERRORS
    wire: ClassVar[str] = "context_length"
    endpoints: ClassVar[tuple[str, ...]] = ("chat", "embeddings")

    limit: int = 8192

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.limit <= 10_000_000:
            raise ConfigError(f"limit {self.limit} is not from 1 to 10000000 tokens")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"limit": self.limit}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        code = seen.error().get("code")
        return f"answers 400 {code}" if (seen.status, code) == (400, "context_length_exceeded") else None


@constructor
def llm_context_length(target: str, limit: int = 8192, **which: Unpack[Which]) -> LlmContextLength:
    """Say that the messages exceed `limit` tokens: `llm_context_length("llm-1", limit=4096)`."""
    return LlmContextLength(target, limit, **which)

"""LLM empty: an answer that says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmEmpty(LlmFault):
    """Chats are answered with empty content and finish_reason stop."""

    kind: ClassVar[str] = "llm_empty"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "empty"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        return "says nothing, and stops" if seen.finish() == "stop" and not seen.said() else None


@constructor
def llm_empty(target: str, **which: Unpack[Which]) -> LlmEmpty:
    """Answer with empty content: `llm_empty("llm-1")`."""
    return LlmEmpty(target, **which)

"""LLM refusal: the model declines, in the field made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmRefusal(LlmFault):
    """Chats are answered with `refusal` in place of content, which is null."""

    kind: ClassVar[str] = "llm_refusal"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "refusal"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        return f"refuses: {seen.said('refusal')!r}" if seen.said("refusal") and not seen.said() else None


@constructor
def llm_refusal(target: str, **which: Unpack[Which]) -> LlmRefusal:
    """Have the model refuse to answer: `llm_refusal("llm-1")`."""
    return LlmRefusal(target, **which)

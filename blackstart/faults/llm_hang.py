"""LLM hang: the call is taken, and nothing comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmHang(LlmFault):
    """Model calls are never answered; with `headers`, nothing follows the head. The undo resets them."""

    kind: ClassVar[str] = "llm_hang"
    mode: ClassVar[Mode] = Mode.FROZEN
    wire: ClassVar[str] = "hang"

    headers: bool = False

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"headers": self.headers}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        if seen.body or seen.end != "late" or seen.status != (200 if self.headers else None):
            return None
        return f"is silent for {self.patience_s:.1f} s"


@constructor
def llm_hang(target: str, headers: bool = False, **which: Unpack[Which]) -> LlmHang:
    """Leave model calls without an answer: `llm_hang("llm-1", headers=True)`."""
    return LlmHang(target, headers, **which)

"""LLM malformed SSE: a stream whose events run together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmMalformedSse(LlmFault):
    """The blank lines between the events of a stream are lost; whole answers stay as they are."""

    kind: ClassVar[str] = "llm_malformed_sse"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "malformed_sse"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        lost = seen.status == 200 and seen.end == "whole" and len(seen.events) < len(usual.events)
        return (
            f"sends {len(usual.events)} events as {len(seen.events)}"
            if lost and "\n" in seen.events[0]
            else None
        )


@constructor
def llm_malformed_sse(target: str, **which: Unpack[Which]) -> LlmMalformedSse:
    """Break the framing of streams: `llm_malformed_sse("llm-1")`."""
    return LlmMalformedSse(target, **which)

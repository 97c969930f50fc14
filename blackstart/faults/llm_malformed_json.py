"""LLM malformed JSON: good HTTP around a broken body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmMalformedJson(LlmFault):
    """The body ends in the middle of its JSON; in a stream one event does."""

    kind: ClassVar[str] = "llm_malformed_json"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "malformed_json"

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        if seen.status != 200 or seen.end != "whole":
            return None
        try:
            seen.parts()
        except ValueError as error:
            return f"sends malformed JSON ({error})"
        return None


@constructor
def llm_malformed_json(target: str, **which: Unpack[Which]) -> LlmMalformedJson:
    """Answer with broken JSON: `llm_malformed_json("llm-1")`."""
    return LlmMalformedJson(target, **which)

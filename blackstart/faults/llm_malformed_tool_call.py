"""LLM malformed tool call: arguments that are no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmMalformedToolCall(LlmFault):
    """Chats are answered with a call of the first tool offered, its arguments cut off in mid-JSON."""

    kind: ClassVar[str] = "llm_malformed_tool_call"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "malformed_tool_call"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    stream: ClassVar[bool] = False
    request: ClassVar[Mapping[str, Any]] = {
        "tools": [{"type": "function", "function": {"name": "probe", "parameters": {"type": "object"}}}]
    }

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        arguments = str(seen.choices()[0]["tool_calls"][0]["function"]["arguments"])
        try:
            json.loads(arguments)
        except ValueError:
            return f"calls a tool with {arguments!r}"
        return None


@constructor
def llm_malformed_tool_call(target: str, **which: Unpack[Which]) -> LlmMalformedToolCall:
    """Have the model call a tool with broken arguments: `llm_malformed_tool_call("llm-1")`."""
    return LlmMalformedToolCall(target, **which)

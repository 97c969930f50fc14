"""LLM quota: used up; no wait helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmQuota(LlmFault):
    """Model calls are answered with 429 insufficient_quota, without Retry-After."""

    kind: ClassVar[str] = "llm_quota"
    mode: ClassVar[Mode] = Mode.STARVED
    wire: ClassVar[str] = "quota"

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        code = seen.error().get("code")
        return f"answers 429 {code}" if (seen.status, code) == (429, "insufficient_quota") else None


@constructor
def llm_quota(target: str, **which: Unpack[Which]) -> LlmQuota:
    """Use up the quota of the account: `llm_quota("llm-1")`."""
    return LlmQuota(target, **which)

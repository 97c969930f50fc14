"""LLM cut: the connection is reset in the middle of an answer."""

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
class LlmCut(LlmFault):
    """A TCP reset after `chunks` events of a stream, or after half of a whole answer."""

    kind: ClassVar[str] = "llm_cut"
    mode: ClassVar[Mode] = Mode.LOSSY
    wire: ClassVar[str] = "cut"

    chunks: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.chunks <= 10_000:
            raise ConfigError(f"chunks {self.chunks} is not from 0 to 10000")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"chunks": self.chunks}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """The broken end; whether FIN or RST made it, a port proxy between us and the provider hides."""
        if seen.end != "cut":
            return None
        if not seen.streamed:
            return f"breaks off after {len(seen.body)} of {len(usual.body)} characters"
        expected = min(self.chunks, len(usual.events) - 1)
        return f"breaks off after {expected} chunks" if len(seen.events) == expected else None


@constructor
def llm_cut(target: str, chunks: int = 3, **which: Unpack[Which]) -> LlmCut:
    """Reset the connection in mid-answer: `llm_cut("llm-1", chunks=5)`."""
    return LlmCut(target, chunks, **which)

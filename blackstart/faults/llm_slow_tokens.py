"""LLM slow tokens: the answer trickles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import PATIENCE_S, LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class LlmSlowTokens(LlmFault):
    """`gap` passes before each token but the first; a whole answer comes late by their sum."""

    kind: ClassVar[str] = "llm_slow_tokens"
    mode: ClassVar[Mode] = Mode.SLOW
    wire: ClassVar[str] = "slow_tokens"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)

    gap: Duration = "200ms"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= seconds(self.gap) <= 3600:
            raise ConfigError(f"gap {self.gap!r} is not from 1 ms to 1 h")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"gap_s": seconds(self.gap)}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        if len(seen.times) == 1:
            longer = seen.end == "late" and seconds(self.gap) > PATIENCE_S
            return f"says one token in {self.patience_s:.1f} s" if longer else None
        gap_s, usual_s = _gap_s(seen), _gap_s(usual)
        slow = gap_s >= 0.9 * seconds(self.gap) > usual_s
        return f"says a token every {human(gap_s)}, not every {human(usual_s)}" if slow else None

    @property
    def patience_s(self) -> float:
        """See LlmFault.patience_s."""
        return PATIENCE_S + min(PATIENCE_S, seconds(self.gap))


def _gap_s(seen: Seen) -> float:
    """Seconds between the events of a stream, on average: several may arrive together."""
    return (seen.times[-1] - seen.times[0]) / max(1, len(seen.events) - 1)


@constructor
def llm_slow_tokens(target: str, gap: Duration = "200ms", **which: Unpack[Which]) -> LlmSlowTokens:
    """Slow down the tokens of a stream: `llm_slow_tokens("llm-1", gap="1s")`."""
    return LlmSlowTokens(target, gap, **which)

"""LLM slow first token: the model thinks for long before it says anything."""

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
class LlmSlowFirstToken(LlmFault):
    """The first byte of an answer comes `delay` late, the head too unless `headers`."""

    kind: ClassVar[str] = "llm_slow_first_token"
    mode: ClassVar[Mode] = Mode.SLOW
    wire: ClassVar[str] = "slow_first_token"

    delay: Duration = "5s"
    headers: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= seconds(self.delay) <= 3600:
            raise ConfigError(f"delay {self.delay!r} is not from 1 ms to 1 h")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"delay_s": seconds(self.delay), "headers": self.headers}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        if not seen.times:
            # Longer than we listen: silence until then is what there is to see.
            longer = seen.end == "late" and seconds(self.delay) > PATIENCE_S
            return f"says nothing for {self.patience_s:.1f} s" if longer else None
        late = seen.times[0] >= seconds(self.delay) > usual.times[0]
        return f"says its first token after {human(seen.times[0])}" if late else None

    @property
    def patience_s(self) -> float:
        """See LlmFault.patience_s."""
        return PATIENCE_S + min(PATIENCE_S, seconds(self.delay))


@constructor
def llm_slow_first_token(
    target: str, delay: Duration = "5s", headers: bool = False, **which: Unpack[Which]
) -> LlmSlowFirstToken:
    """Delay the beginning of answers: `llm_slow_first_token("llm-1", delay="3s")`."""
    return LlmSlowFirstToken(target, delay, headers, **which)

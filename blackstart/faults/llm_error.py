"""LLM error: a model provider answers with an HTTP error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode

#: The longest delay in seconds: what shows the bite waits for it.
MOST_S = 60.0


@register
@dataclass(frozen=True)
class LlmError(LlmFault):
    """Model calls are answered with `status`, `delay` after they came."""

    kind: ClassVar[str] = "llm_error"
    mode: ClassVar[Mode] = Mode.ERRORS
    wire: ClassVar[str] = "error"

    status: int = 503
    delay: Duration = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 400 <= self.status <= 599:
            raise ConfigError(f"status {self.status} is no HTTP error; valid are 400 to 599")
        if seconds(self.delay) > MOST_S:
            raise ConfigError(f"delay {self.delay} is above {MOST_S:.0f} s; use llm_hang")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"status": self.status, "delay_s": seconds(self.delay)}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        return f"answers {seen.status}" if seen.status == self.status else None

    @property
    def patience_s(self) -> float:
        """See LlmFault.patience_s."""
        return super().patience_s + seconds(self.delay)


@constructor
def llm_error(target: str, status: int = 503, delay: Duration = 0, **which: Unpack[Which]) -> LlmError:
    """Have model calls fail with an HTTP error, as 401, 500, 503 or 529: `llm_error("llm-1", status=529)`."""
    return LlmError(target, status, delay, **which)

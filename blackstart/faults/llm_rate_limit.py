"""LLM rate limit: 429, and when to come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode

#: The longest Retry-After, a day.
MOST_S = 86_400


@register
@dataclass(frozen=True)
class LlmRateLimit(LlmFault):
    """Model calls are answered with 429 and Retry-After `retry_after`, in seconds or as an HTTP `date`."""

    kind: ClassVar[str] = "llm_rate_limit"
    mode: ClassVar[Mode] = Mode.ERRORS
    wire: ClassVar[str] = "rate_limit"

    retry_after: Duration = "5s"
    date: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.retry_after) % 1 or seconds(self.retry_after) > MOST_S:
            raise ConfigError(
                f"retry_after {self.retry_after!r} is not a number of whole seconds up to a day"
            )

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"retry_after_s": int(seconds(self.retry_after)), "date": self.date}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        told = seen.headers.get("Retry-After")
        if seen.status != 429 or told is None or told.isdigit() == self.date:
            return None
        return f"answers 429, Retry-After: {told}"


@constructor
def llm_rate_limit(
    target: str, retry_after: Duration = "5s", date: bool = False, **which: Unpack[Which]
) -> LlmRateLimit:
    """Limit the rate of model calls: `llm_rate_limit("llm-1", retry_after="30s", date=True)`."""
    return LlmRateLimit(target, retry_after, date, **which)

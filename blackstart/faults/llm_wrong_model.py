"""LLM wrong model: the answer names another model than the one that was asked."""

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
class LlmWrongModel(LlmFault):
    """Answers say that the model `echo` gave them."""

    kind: ClassVar[str] = "llm_wrong_model"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "wrong_model"
    endpoints: ClassVar[tuple[str, ...]] = ("chat", "embeddings")

    echo: str = "another-model"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.echo:
            raise ConfigError("echo must be the name of a model")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"echo": self.echo}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        names = {part.get("model") for part in seen.parts()}
        was = usual.parts()[0].get("model")
        return f"answers as {self.echo}, not {was}" if names == {self.echo} and was != self.echo else None


@constructor
def llm_wrong_model(target: str, echo: str = "another-model", **which: Unpack[Which]) -> LlmWrongModel:
    """Echo another model: `llm_wrong_model("llm-1", echo="cheaper-model")`."""
    return LlmWrongModel(target, echo, **which)

"""LLM embeddings dimension: vectors that do not fit the index."""

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
class LlmEmbeddingsDimension(LlmFault):
    """Embeddings have `dimensions`, whatever was asked for."""

    kind: ClassVar[str] = "llm_embeddings_dimension"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "embeddings_dimension"
    endpoints: ClassVar[tuple[str, ...]] = ("embeddings",)

    dimensions: int = 63

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.dimensions <= 4096:
            raise ConfigError(f"dimensions {self.dimensions} is not from 1 to 4096")

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {"dimensions": self.dimensions}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        is_now, was = len(seen.vectors()[0]), len(usual.vectors()[0])
        return f"embeds in {is_now} dimensions, not {was}" if is_now == self.dimensions != was else None


@constructor
def llm_embeddings_dimension(
    target: str, dimensions: int = 63, **which: Unpack[Which]
) -> LlmEmbeddingsDimension:
    """Change the dimension of embeddings: `llm_embeddings_dimension("llm-1", dimensions=1536)`."""
    return LlmEmbeddingsDimension(target, dimensions, **which)

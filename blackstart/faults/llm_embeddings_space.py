"""LLM embeddings space: vectors that fit the index and mean something else."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from operator import mul
from typing import Any, ClassVar, Unpack

from blackstart.faults._llm import LlmFault, Which
from blackstart.faults._llm_probe import Seen
from blackstart.faults._registry import constructor, register
from blackstart.model.modes import Mode

#: The same text in two unrelated spaces is nearer than this with probability below 1e-6 from 64 dimensions.
APART = 0.6


@register
@dataclass(frozen=True)
class LlmEmbeddingsSpace(LlmFault):
    """Embeddings come from another space of the same dimension, as after a silent change of model."""

    kind: ClassVar[str] = "llm_embeddings_space"
    mode: ClassVar[Mode] = Mode.WRONG
    wire: ClassVar[str] = "embeddings_space"
    endpoints: ClassVar[tuple[str, ...]] = ("embeddings",)

    def params(self) -> dict[str, Any]:
        """See LlmFault.params."""
        return {}

    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """See LlmFault.sees."""
        one, other = seen.vectors()[0], usual.vectors()[0]
        if len(one) != len(other):
            return None
        cosine = sum(map(mul, one, other)) / (hypot(*one) * hypot(*other))
        return f"embeds in another space (cosine {cosine:.2f} to itself)" if abs(cosine) < APART else None


@constructor
def llm_embeddings_space(target: str, **which: Unpack[Which]) -> LlmEmbeddingsSpace:
    """Embed in another vector space: `llm_embeddings_space("llm-1")`."""
    return LlmEmbeddingsSpace(target, **which)

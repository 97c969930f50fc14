"""Edge slicer: what is said arrives in small pieces, as from a peer that flushes every few bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import ToxicFault
from blackstart.faults.base import Options
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode
from blackstart.model.sizes import Size, size_bytes


@register
@dataclass(frozen=True)
class EdgeSlicer(ToxicFault):
    """Cut what passes the edges into pieces and send one each `delay`.

    Toxiproxy halves what it has until no piece is longer than `size` and `variation` together; `variation`
    moves the cuts at random, with a generator that cannot be seeded.
    """

    kind: ClassVar[str] = "edge_slicer"
    mode: ClassVar[Mode] = Mode.LOSSY
    toxic: ClassVar[str] = "slicer"

    size: Size = 16
    variation: int = 0
    delay: Duration = "1ms"

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds(self.delay)
        # Else a cut may lie outside of what is cut.
        if not 0 <= self.variation < size_bytes(self.size):
            raise ConfigError(
                f"variation {self.variation} of pieces of {self.size!r}; valid is 0 to less than the size"
            )

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes; the delay in microseconds."""
        return {
            "average_size": size_bytes(self.size),
            "size_variation": self.variation,
            "delay": round(seconds(self.delay) * 1e6),
        }


@constructor
def edge_slicer(
    target: str,
    upstream: str,
    port: int | None = None,
    size: Size = 16,
    variation: int = 0,
    delay: Duration = "1ms",
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeSlicer:
    """Cut up what `target` and `upstream` say: `edge_slicer("app-1", "llm-1", size=8, delay="10ms")`."""
    return EdgeSlicer(target, upstream, port, direction, size, variation, delay, share=share, **options)

"""Edge limit data: a connection is closed once so much has passed it, in the middle of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import ToxicFault
from blackstart.faults.base import Options
from blackstart.model.modes import Mode
from blackstart.model.sizes import Size, size_bytes


@register
@dataclass(frozen=True)
class EdgeLimitData(ToxicFault):
    """Close each connection on the edges once `size` has passed it, counted from the injection on."""

    kind: ClassVar[str] = "edge_limit_data"
    mode: ClassVar[Mode] = Mode.LOSSY
    toxic: ClassVar[str] = "limit_data"

    size: Size = "1kB"

    def __post_init__(self) -> None:
        super().__post_init__()
        size_bytes(self.size)

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes."""
        return {"bytes": size_bytes(self.size)}


@constructor
def edge_limit_data(
    target: str,
    upstream: str,
    port: int | None = None,
    size: Size = "1kB",
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeLimitData:
    """Cut answers short: `edge_limit_data("app-1", "llm-1", size=512, direction="downstream")`."""
    return EdgeLimitData(target, upstream, port, direction, size, share=share, **options)

"""Edge timeout: a black hole. Connections open, what is sent through them is never delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import ToxicFault
from blackstart.faults.base import Options


@register
@dataclass(frozen=True)
class EdgeTimeout(ToxicFault):
    """Drop what passes the edges in one direction or both. Undoing it closes the connections."""

    kind: ClassVar[str] = "edge_timeout"
    toxic: ClassVar[str] = "timeout"

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes; 0 ms: the connections stay open until the undo."""
        return {"timeout": 0}


@constructor
def edge_timeout(
    target: str,
    upstream: str,
    port: int | None = None,
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeTimeout:
    """Swallow what `target` and `upstream` say: `edge_timeout("front", "app-1", direction="downstream")`."""
    return EdgeTimeout(target, upstream, port, direction, share=share, **options)

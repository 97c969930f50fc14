"""Edge bandwidth: what passes an edge comes through slowly, as over a link that is full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import ToxicFault
from blackstart.faults.base import Options
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode
from blackstart.model.sizes import Size, rate_bytes


@register
@dataclass(frozen=True)
class EdgeBandwidth(ToxicFault):
    """Let at most `rate` pass the edges, for each connection and each direction by itself."""

    kind: ClassVar[str] = "edge_bandwidth"
    mode: ClassVar[Mode] = Mode.SLOW
    toxic: ClassVar[str] = "bandwidth"

    rate: Size = "100kB/s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if rate_bytes(self.rate) < 1000:
            raise ConfigError(f"a rate of {self.rate!r} is too low: Toxiproxy counts whole kB/s")

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes; kB/s."""
        return {"rate": round(rate_bytes(self.rate) / 1000)}


@constructor
def edge_bandwidth(
    target: str,
    upstream: str,
    port: int | None = None,
    rate: Size = "100kB/s",
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeBandwidth:
    """Narrow the edges from `target` to `upstream`: `edge_bandwidth("app-1", "llm-1", rate="4kB/s")`."""
    return EdgeBandwidth(target, upstream, port, direction, rate, share=share, **options)

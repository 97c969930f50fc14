"""Packet corruption: some of what an instance sends to its peers arrives with a bit turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._network import ALL
from blackstart.faults._registry import constructor, register
from blackstart.faults._shaping import CLASS, ShapingFault
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class PacketCorruption(ShapingFault):
    """Turn one bit in `percent` of the packets that leave `target` for `peers`.

    Checksums catch nearly all of them: to TCP it is loss, that the receiver counts as bad segments. Needs a
    kernel with netem.
    """

    kind: ClassVar[str] = "packet_corruption"
    mode: ClassVar[Mode] = Mode.LOSSY
    scheduler: ClassVar[str] = "netem"

    percent: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.01 <= self.percent <= 100:
            raise ConfigError(f"a corruption of {self.percent!r} percent; valid is 0.01 to 100")

    def parameters(self) -> str:
        """See ShapingFault.parameters."""
        return f"limit 10000 corrupt {self.percent:g}%"

    def bite(self, site: Site, undo: Undo) -> str:
        """The scheduler, read back."""
        (probe,) = undo.data["probes"]
        argv = ["tc", "qdisc", "show", "dev", probe["dev"], "parent", CLASS]
        told = site.platform.exec(probe["from"], argv).output.strip()
        if "corrupt" not in told:
            raise BiteError(f"{probe['from']}: corrupts nothing: {told}")
        return f"{probe['from']}: {told}; read back only"


@constructor
def packet_corruption(
    target: str, percent: float = 1.0, peers: str | Sequence[str] = ALL, **options: Unpack[Options]
) -> PacketCorruption:
    """Turn bits on the way: `packet_corruption("pg-1", percent=2, peers="pg-2")`."""
    return PacketCorruption(target, peers, percent, **options)

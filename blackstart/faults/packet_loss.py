"""Packet loss: some of the packets between an instance and its peers never arrive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._network import (
    ALL,
    DIRECTIONS,
    PeerFault,
    Place,
    counters,
    matches,
    own_addresses,
)
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.faults.partition import PRIORITY
from blackstart.model.errors import BiteError, ConfigError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.stack import Stack

#: How often the datagrams of the bite may all arrive by chance.
_MISS = 1e-6

_SEND = r"""
exec 3<>"/dev/udp/$1/9" || exit; for ((n = 0; n < $2; n++)); do echo >&3; done 2>/dev/null; exit 0
"""


@register
@dataclass(frozen=True)
class PacketLoss(PeerFault):
    """Drop `percent` of the packets between `target` and `peers`, each drawn by the kernel.

    `direction` is `inbound`, `outbound` or `both`, as the target sees it; `both` loses `percent` each way.

    They are dropped where they arrive: `inbound` at the target, `outbound` at its peers. At the sender the
    kernel would tell TCP, which then sends again at once, as no lossy network lets it.
    """

    kind: ClassVar[str] = "packet_loss"
    mode: ClassVar[Mode] = Mode.LOSSY

    percent: float = 10.0
    direction: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.1 <= self.percent <= 100:
            raise ConfigError(f"a loss of {self.percent!r} percent; valid is 0.1 to 100")
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"unknown direction {self.direction!r}; known: {', '.join(DIRECTIONS)}")

    def takes_out_of(self, stack: Stack) -> bool:
        """Where nothing arrives, as in a partition."""
        return self.percent == 100 and self.severs(stack)

    def places(self, site: Site) -> dict[str, Place]:
        """See NetworkFault.places."""
        senders: dict[str, list[str]] = {}
        for target, peers in self.sides(site).items():
            own = own_addresses(site, target)
            if self.direction != "outbound":
                senders.setdefault(target, []).extend(a for each in peers.values() for a in each)
            if self.direction != "inbound":
                for peer in peers:
                    senders.setdefault(peer, []).extend(own)
        drawn = f"counter numgen random mod 10000 < {round(self.percent * 100)} counter drop"
        return {
            receiver: Place(
                {"loss": ("input", PRIORITY, [f"{m} {drawn}" for m in matches("saddr", dict.fromkeys(a))])}
            )
            for receiver, a in senders.items()
        }

    def probes(self, site: Site) -> list[dict[str, Any]]:
        """One pair for each direction: the first target and its first peer."""
        target, peers = next(iter(self.sides(site).items()))
        peer = next(iter(peers))
        inbound = {"from": site.sidecar(peer), "to": site.sidecar(target)}
        inbound["address"] = own_addresses(site, target)[0]
        outbound = {"from": site.sidecar(target), "to": site.sidecar(peer), "address": peers[peer][0]}
        return {"both": [inbound, outbound], "inbound": [inbound], "outbound": [outbound]}[self.direction]

    def bite(self, site: Site, undo: Undo) -> str:
        """Of enough datagrams to see it, some were dropped: so say the counters where they should arrive."""
        seen = []
        for probe in undo.data["probes"]:
            kept = 1 - self.percent / 100
            often = math.ceil(math.log(_MISS) / math.log(kept)) if kept > 0 else 1
            argv = ["bash", "-c", _SEND, "send", probe["address"], str(often)]
            sent = site.platform.exec(probe["from"], argv)
            if sent.code != 0:
                raise PlatformError(f"{probe['from']}: cannot send: {sent.output.strip()[-300:]}")
            counts = counters(site.platform, probe["to"], undo)
            arrived, dropped = sum(first for first, *_ in counts), sum(last for *_, last in counts)
            if not dropped:
                raise BiteError(f"{probe['to']}: none of {arrived} packets was dropped")
            seen.append(f"{probe['to']} lost {dropped} of {arrived} packets")
        return "; ".join(seen)


@constructor
def packet_loss(
    target: str,
    peers: str | Sequence[str] = ALL,
    percent: float = 10.0,
    direction: str = "both",
    **options: Unpack[Options],
) -> PacketLoss:
    """Lose packets: `packet_loss("app-1", "redis", percent=5)`."""
    return PacketLoss(target, peers, percent, direction, **options)

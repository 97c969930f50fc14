"""Partition: an instance and its peers no longer hear each other, or one of them not the other."""

from __future__ import annotations

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
from blackstart.model.errors import BiteError, ConfigError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.stack import Stack

#: In front of what Docker does with packets to its own DNS.
PRIORITY = -150

# A datagram to a port where nobody listens: whoever is reached refuses it, a partition is silent.
_PROBE = r"""
export LC_ALL=C
for address; do
  (
    exec 3<>"/dev/udp/$address/9"
    for try in 1 2; do echo >&3; IFS= read -r -t 0.3 -n 1 -u 3 _; done
  ) 2>&1 | grep -q "Connection refused" && echo "$address" &
done; wait
"""


@register
@dataclass(frozen=True)
class Partition(PeerFault):
    """Drop every packet between `target` and `peers`, in the target's network namespace.

    A `direction` of `inbound` drops what the target is sent, `outbound` what it sends, `both` both. TCP
    connections die either way, but in an asymmetric partition one side still hears the other. Instances of
    one service as target and peers are kept from each other. Nothing is refused, all just vanishes (a UDP
    sender is told that it may not send). A peer that is down when the fault strikes, or comes back under
    another address, is not kept out.
    """

    kind: ClassVar[str] = "partition"
    mode: ClassVar[Mode] = Mode.CUT

    direction: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"unknown direction {self.direction!r}; known: {', '.join(DIRECTIONS)}")

    def takes_out_of(self, stack: Stack) -> bool:
        """Whoever is kept from all others serves none of them."""
        return self.severs(stack)

    def places(self, site: Site) -> dict[str, Place]:
        """See NetworkFault.places."""
        found = {}
        for target, peers in self.sides(site).items():
            own_addresses(site, target)
            addresses = [a for each in peers.values() for a in each]
            chains = {}
            if self.direction != "outbound":
                drops = [f"{match} counter drop" for match in matches("saddr", addresses)]
                chains["inbound"] = ("input", PRIORITY, drops)
            if self.direction != "inbound":
                drops = [f"{match} counter drop" for match in matches("daddr", addresses)]
                chains["outbound"] = ("output", PRIORITY, drops)
            found[target] = Place(chains)
        return found

    def probes(self, site: Site) -> list[dict[str, Any]]:
        """From each target to all its peers."""
        return [{"from": site.sidecar(target), "to": peers} for target, peers in self.sides(site).items()]

    def bite(self, site: Site, undo: Undo) -> str:
        """No peer answers a datagram of the target's any more, and it is the rules that dropped something."""
        seen = []
        for probe in undo.data["probes"]:
            peers = {a: name for name, addresses in probe["to"].items() for a in addresses}
            told = site.platform.exec(probe["from"], ["bash", "-c", _PROBE, "probe", *peers])
            if told.code != 0:
                raise PlatformError(f"{probe['from']}: cannot probe: {told.output.strip()[-300:]}")
            if reached := [peers[a] for a in told.output.split()]:
                raise BiteError(f"{probe['from']}: still answered by {', '.join(reached)}")
            if not any(map(sum, counters(site.platform, probe["from"], undo))):
                raise BiteError(f"{probe['from']}: hears nothing, but nothing was dropped there either")
            seen.append(f"{probe['from']} hears nothing of {', '.join(probe['to'])}")
        return "; ".join(seen)


@constructor
def partition(
    target: str, peers: str | Sequence[str] = ALL, direction: str = "both", **options: Unpack[Options]
) -> Partition:
    """Cut `target` off: `partition("postgres.primary")`, `partition("pg-1", ["etcd-1", "etcd-2"])`."""
    return Partition(target, peers, direction, **options)

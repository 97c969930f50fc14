"""What the faults share that hold back what an instance sends to its peers, by a scheduler of the kernel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults._network import HANDLE, PeerFault, Place, matches, own_addresses
from blackstart.faults.base import Site
from blackstart.faults.partition import PRIORITY
from blackstart.model.errors import CapabilityMissing, InjectionError, PlatformError

#: The class of what goes to the peers; all else, the harness's own traffic too, passes by.
CLASS = f"{HANDLE}10"


@dataclass(frozen=True)
class ShapingFault(PeerFault):
    """A scheduler for what `target` sends to `peers`. One such fault at a time can be in force at a target.

    nftables marks the packets, an htb without limit at the interface's root sorts them out, and the leaf
    of their class is the scheduler.
    """

    capabilities: ClassVar[tuple[str, ...]] = ("exec", "address", "kill", "shape")
    scheduler: ClassVar[str]

    @abstractmethod
    def parameters(self) -> str:
        """What tc is to be told behind the scheduler's name."""

    def places(self, site: Site) -> dict[str, Place]:
        """CapabilityMissing if the kernel lacks the scheduler; InjectionError if a target has one already."""
        found = {}
        for target, peers in self.sides(site).items():
            sidecar = site.sidecar(target)
            for needed in ("htb", self.scheduler):
                if not site.platform.has_scheduler(sidecar, needed):
                    raise CapabilityMissing(
                        f"the kernel has no packet scheduler {needed} (module sch_{needed}), "
                        f"which {self.kind} needs"
                    )
            dev = _interface(site, sidecar, own_addresses(site, target)[0])
            marks = matches("daddr", [a for each in peers.values() for a in each])
            rules = [f"{match} meta priority set {CLASS}" for match in marks]
            tc = (
                f"qdisc add dev {dev} root handle {HANDLE} htb default 0",
                f"class add dev {dev} parent {HANDLE} classid {CLASS} htb rate 10gbit quantum 60000",
                f"qdisc add dev {dev} parent {CLASS} {self.scheduler} {self.parameters()}",
            )
            found[target] = Place({"shaped": ("output", PRIORITY, rules)}, tc, dev)
        return found

    def probes(self, site: Site) -> list[dict[str, Any]]:
        """The first target and its first peer."""
        target, peers = next(iter(self.sides(site).items()))
        address = next(iter(peers.values()))[0]
        dev = _interface(site, site.sidecar(target), own_addresses(site, target)[0])
        return [{"from": site.sidecar(target), "address": address, "dev": dev}]


def _interface(site: Site, sidecar: str, address: str) -> str:
    """The interface with that address; InjectionError if it is shaped already."""
    told = site.platform.exec(sidecar, ["ip", "-o", "address", "show", "to", address])
    if told.code != 0 or not told.output.strip():
        raise PlatformError(f"{sidecar}: no interface has {address}: {told.output.strip()}")
    dev = str(told.output.split()[1])
    if HANDLE in (seen := site.platform.exec(sidecar, ["tc", "qdisc", "show", "dev", dev]).output):
        raise InjectionError(f"{sidecar} is shaped already: {seen.strip()}")
    return dev

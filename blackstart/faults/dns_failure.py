"""DNS failure: an instance can no longer look up names; what it knows or has connected to goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._network import NetworkFault, Place, own_addresses
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode

#: Docker's own DNS server, the only one a container on a network of its own asks.
SERVER = "127.0.0.11"
# Where the question leaves, in front of Docker's redirection: a refusal is heard at once.
_REFUSE = (
    "output",
    -300,
    (
        f"ip daddr {SERVER} udp dport 53 counter reject",
        f"ip daddr {SERVER} tcp dport 53 counter reject with tcp reset",
    ),
)
# Where it would arrive: a question that is dropped where it leaves is not lost but forbidden (EPERM).
_SWALLOW = ("input", -150, (f"ip daddr {SERVER} counter drop",))
WAYS = {"refused": _REFUSE, "timeout": _SWALLOW}

# Looks a name up once, waiting 1 s for the answer; prints what became of it and after how many ms.
_LOOKUP = r"""
t0=${EPOCHREALTIME/./}; RES_OPTIONS="timeout:1 attempts:1" getent ahosts "$1" >/dev/null && echo answered
echo $(( (${EPOCHREALTIME/./} - t0) / 1000 ))
"""


@register
@dataclass(frozen=True)
class DnsFailure(NetworkFault):
    """Fail the lookups of `target`: `how` is `refused`, at once, or `timeout`, never answered.

    Names in the hosts file, as those of the upstreams are for the service, resolve as ever. The sidecar's
    proxies look their upstreams up for each connection: so new connections on every edge fail, at once or
    after the resolver's patience of some seconds, and open ones go on.
    """

    kind: ClassVar[str] = "dns_failure"
    mode: ClassVar[Mode] = Mode.CUT

    how: str = "refused"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.how not in WAYS:
            raise ConfigError(f"unknown way {self.how!r}; known: {', '.join(WAYS)}")

    def places(self, site: Site) -> dict[str, Place]:
        """See NetworkFault.places."""
        targets = [i.name for i in site.resolve(self.target)]
        for target in targets:
            own_addresses(site, target)
        return {target: Place({"dns": WAYS[self.how]}) for target in targets}

    def probes(self, site: Site) -> list[dict[str, Any]]:
        """Each target looks up itself: the alias that all of the run know it by."""
        return [{"from": site.sidecar(i.name), "name": f"{i.name}.net"} for i in site.resolve(self.target)]

    def bite(self, site: Site, undo: Undo) -> str:
        """A lookup in the target's network fails, at once or not."""
        seen = []
        for probe in undo.data["probes"]:
            told = site.platform.exec(probe["from"], ["bash", "-c", _LOOKUP, "lookup", probe["name"]])
            *answered, elapsed_ms = told.output.split()
            if answered:
                raise BiteError(f"{probe['from']}: {probe['name']} is still found")
            seen.append(f"{probe['from']} found no {probe['name']} within {elapsed_ms} ms")
        return "; ".join(seen)


@constructor
def dns_failure(target: str, how: str = "refused", **options: Unpack[Options]) -> DnsFailure:
    """Take the name service away: `dns_failure("app-1", how="timeout")`."""
    return DnsFailure(target, how, **options)

"""What the faults share that are a toxic of Toxiproxy on an edge, in one direction or both."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from blackstart.faults._edges import EdgeFault, Request, proxies, shown
from blackstart.faults.base import Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.toxiproxy.client import EdgeProxy

#: The streams of each direction, as seen from the caller (Toxiproxy's own words).
DIRECTIONS = {"both": ("upstream", "downstream"), "upstream": ("upstream",), "downstream": ("downstream",)}

#: What a bite says where no probe can tell the effect, whatever the upstream speaks.
READ_BACK = "read back only"

#: Probes of an edge at once, at most; and how often all of them may miss a share of its connections.
_PROBES, _MISS = 64, 1e-6

# Runs the probe that is passed in `$2` so many times at once, each with the arguments behind it.
_AT_ONCE = """
export LC_ALL=C; n=$1 probe=$2; shift 2
while [ $((n--)) -gt 0 ]; do bash -c "$probe" probe "$@" 2>&1 | tail -n 1 & done; wait
"""


@dataclass(frozen=True)
class ToxicFault(EdgeFault):
    """A toxic of type `toxic` on every edge, in `direction` as the caller sees it: `upstream` is what it
    asks, `downstream` what it is answered, `both` each of them, so that a round trip meets the toxic twice.

    It acts on `share` of the connections, 0 < share <= 1. Toxiproxy draws for each connection and direction
    anew, with a generator that cannot be seeded: with a share below 1 no run is like another.
    """

    toxic: ClassVar[str]

    direction: str = "both"
    share: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"unknown direction {self.direction!r}; known: {', '.join(DIRECTIONS)}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"a share of {self.share!r}; valid is more than 0, up to 1")

    @abstractmethod
    def attributes(self) -> dict[str, int]:
        """The toxic's attributes, as Toxiproxy names and counts them."""

    def details(self, id: str) -> dict[str, Any]:
        """The names of the toxics to remove."""
        return {"toxics": {s: f"blackstart_{self.toxic}_{s}_{id}" for s in DIRECTIONS[self.direction]}}

    def restoring(self, proxy: str, data: Mapping[str, Any]) -> list[Request]:
        """See EdgeFault.restoring."""
        return [("DELETE", f"/proxies/{proxy}/toxics/{name}", "") for name in data["toxics"].values()]

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for _, proxy in proxies(site, undo):
            for stream, name in undo.data["toxics"].items():
                proxy.add_toxic(
                    type=self.toxic,
                    stream=stream,
                    name=name,
                    toxicity=self.share,
                    attributes=self.attributes(),
                )

    def bite(self, site: Site, undo: Undo) -> str:
        """The toxics read back, and what a probe through the first edge felt of them, where it can."""
        seen = proxies(site, undo)
        for edge, proxy in seen:
            toxics = proxy.toxics()
            for stream, name in undo.data["toxics"].items():
                wanted = self.attributes(), self.share
                if name not in toxics or (toxics[name].attributes, toxics[name].toxicity) != wanted:
                    raise BiteError(f"{edge['edge']}: no {self.toxic} {stream}")
        edges = ", ".join(edge["edge"] for edge, _ in seen)
        of = f" for {self.share:.0%} of connections" if self.share < 1 else ""
        felt = self.felt(site, undo.data["edges"][0])
        return f"{self.toxic} {shown(self.attributes())}{of} on {edges}; {felt}"

    def felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """The effect on `edge` in words; BiteError if one could be felt and is not there."""
        return READ_BACK

    def probe(
        self, site: Site, edge: Mapping[str, Any], script: str, *args: str, limit_s: float
    ) -> list[str]:
        """What the last line of `script` (bash; host, port and `args`) says, run through `edge` as often as
        it takes for some to be of the share; nothing if that were too often. Each ends within `limit_s`.
        """
        of = len(DIRECTIONS[self.direction])  # each direction is drawn by itself
        missed = (1 - self.share) ** of
        often = math.ceil(math.log(_MISS) / math.log(missed)) if missed > 0 else 1
        if often > _PROBES:
            return []
        place = edge["proxy"]["listen"].rsplit(":", 1)
        argv = ["bash", "-c", _AT_ONCE, "probes", str(often), script, *place, *args]
        told: str = site.platform.exec(edge["sidecar"], argv, timeout=limit_s + 2).output
        return told.splitlines()

    @classmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """See EdgeFault.restore."""
        proxy.destroy_toxics(undo.data["toxics"].values())

    @classmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """See EdgeFault.wrong."""
        left = set(undo.data["toxics"].values()) & set(proxy.toxics())
        return f"still carries {', '.join(sorted(left))}" if left else None

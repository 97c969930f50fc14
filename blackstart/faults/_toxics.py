"""What the faults share that are a toxic of Toxiproxy on an edge, in one direction or both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults._edges import EdgeFault, Request, proxies, shown
from blackstart.faults.base import Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.toxiproxy.client import EdgeProxy

#: The streams of each direction, as seen from the caller (Toxiproxy's own words).
DIRECTIONS = {"both": ("upstream", "downstream"), "upstream": ("upstream",), "downstream": ("downstream",)}


@dataclass(frozen=True)
class ToxicFault(EdgeFault):
    """A toxic of type `toxic` on every edge, in `direction` as the caller sees it."""

    toxic: ClassVar[str]

    direction: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"unknown direction {self.direction!r}; known: {', '.join(DIRECTIONS)}")

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
                proxy.add_toxic(type=self.toxic, stream=stream, name=name, attributes=self.attributes())

    def bite(self, site: Site, undo: Undo) -> str:
        """The toxics, read back."""
        seen = proxies(site, undo)
        for edge, proxy in seen:
            toxics = proxy.toxics()
            for stream, name in undo.data["toxics"].items():
                if name not in toxics or toxics[name].attributes != self.attributes():
                    raise BiteError(f"{edge['edge']}: no {self.toxic} {stream}")
        edges = ", ".join(edge["edge"] for edge, _ in seen)
        return f"{self.toxic} {shown(self.attributes())} on {edges}"

    @classmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """See EdgeFault.restore."""
        proxy.destroy_toxics(undo.data["toxics"].values())

    @classmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """See EdgeFault.wrong."""
        left = set(undo.data["toxics"].values()) & set(proxy.toxics())
        return f"still carries {', '.join(sorted(left))}" if left else None

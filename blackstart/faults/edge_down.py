"""Edge down: one instance no longer reaches another; connections break and new ones are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackstart.faults._edges import EdgeFault, proxies
from blackstart.faults._registry import register
from blackstart.faults.base import Site, Undo
from blackstart.model.durations import Duration
from blackstart.model.errors import BiteError
from blackstart.toxiproxy.client import EdgeProxy


@register
@dataclass(frozen=True)
class EdgeDown(EdgeFault):
    """Disable the proxies of the edges from `target` to `upstream`."""

    kind: ClassVar[str] = "edge_down"

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for _, proxy in proxies(site, undo):
            proxy.disable()

    def bite(self, site: Site, undo: Undo) -> str:
        """Every proxy reads back disabled."""
        seen = proxies(site, undo)
        if up := [edge["edge"] for edge, proxy in seen if proxy.enabled]:
            raise BiteError(f"still up: {', '.join(up)}")
        return f"proxies disabled: {', '.join(edge['edge'] for edge, _ in seen)}"

    @classmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """See EdgeFault.restore."""
        if not proxy.enabled:
            proxy.enable()

    @classmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """See EdgeFault.wrong."""
        return None if proxy.enabled else "is still down"


def edge_down(target: str, upstream: str, port: int | None = None, **options: Duration) -> EdgeDown:
    """Cut the edges from `target` to `upstream`: `edge_down("app-1", "redis.primary")`."""
    return EdgeDown(target, upstream, port, **options)

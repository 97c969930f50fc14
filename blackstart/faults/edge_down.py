"""Edge down: one instance no longer reaches another; connections break and new ones are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._edges import EdgeFault, Request, proxies
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, PlatformError
from blackstart.toxiproxy.client import EdgeProxy

# Connects as the service would, to each host and port in turn, and says what became of the connection.
_PROBE = r"""
export LC_ALL=C
while [ $# -gt 0 ]; do
  (
    exec 3<>"/dev/tcp/$1/$2" || exit
    IFS= read -r -t 1 -n 1 -u 3 _
    if [ $? = 1 ]; then echo closed at once; else echo open; fi
  ) 2>&1 | tail -n 1
  shift 2
done
"""


@register
@dataclass(frozen=True)
class EdgeDown(EdgeFault):
    """Disable the proxies of the edges from `target` to `upstream`."""

    kind: ClassVar[str] = "edge_down"

    def restoring(self, proxy: str, data: Mapping[str, Any]) -> list[Request]:
        """See EdgeFault.restoring."""
        return [("POST", f"/proxies/{proxy}", '{"enabled": true}')]

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for _, proxy in proxies(site, undo):
            proxy.disable()

    def bite(self, site: Site, undo: Undo) -> str:
        """Every proxy reads back disabled, and a connection through it is refused or closed at once."""
        seen = proxies(site, undo)
        if up := [edge["edge"] for edge, proxy in seen if proxy.enabled]:
            raise BiteError(f"still up: {', '.join(up)}")
        edges = undo.data["edges"]
        felt = [line for sidecar in undo.targets for line in self._felt(site, sidecar, edges)]
        return f"proxies disabled: {', '.join(edge['edge'] for edge, _ in seen)}; {', '.join(felt)}"

    def _felt(self, site: Site, sidecar: str, edges: Sequence[Mapping[str, Any]]) -> list[str]:
        """What became of a connection on each edge of `sidecar`; BiteError if one stays open."""
        own = [edge for edge in edges if edge["sidecar"] == sidecar]
        places = [part for edge in own for part in edge["proxy"]["listen"].rsplit(":", 1)]
        result = site.platform.exec(sidecar, ["bash", "-c", _PROBE, "probe", *places], timeout=5 + len(own))
        lines = result.output.splitlines()
        if result.code != 0 or len(lines) != len(own):
            raise PlatformError(f"{sidecar}: cannot try its edges: {result.output.strip()[-300:]}")
        felt = []
        for edge, line in zip(own, lines, strict=True):
            if line == "closed at once":
                felt.append(f"{edge['edge']} closed at once")
            elif line.endswith("Connection refused"):
                felt.append(f"{edge['edge']} refused")
            else:
                raise BiteError(f"{edge['edge']}: a connection is not refused: {line}")
        return felt

    @classmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """See EdgeFault.restore."""
        if not proxy.enabled:
            proxy.enable()

    @classmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """See EdgeFault.wrong."""
        return None if proxy.enabled else "is still down"


@constructor
def edge_down(target: str, upstream: str, port: int | None = None, **options: Unpack[Options]) -> EdgeDown:
    """Cut the edges from `target` to `upstream`: `edge_down("app-1", "redis.primary")`."""
    return EdgeDown(target, upstream, port, **options)

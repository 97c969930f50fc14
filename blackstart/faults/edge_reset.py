"""Edge reset: connections end with a TCP reset, as when a peer crashes or a firewall loses its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import READ_BACK, ToxicFault
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import BiteError, InjectionError
from blackstart.model.modes import Mode

# Aborts the proxy's end of every connection to the places given; the callers get the reset. Those that a
# pool makes meanwhile are let be: they meet the toxic.
_ABORT = r"""
connections() {
  ss -Htn state established src "$1" | while read -r _ _ own peer _; do echo "$own $peer"; done
}
for place; do
  before=$(connections "$place"); ss -HKtn state established src "$place" >/dev/null
  left=$(connections "$place" | grep -Fx "$before"); [ -z "$left" ] || { echo "$left"; exit 1; }
done
"""
# Speaks, and says how the connection ended.
_PROBE = r"""
exec 3<>"/dev/tcp/$1/$2" || exit
printf 'GET / HTTP/1.0\r\n\r\n' >&3 || exit
IFS= read -r -t "$3" -n 1 -u 3 _ && echo answered
"""


@register
@dataclass(frozen=True)
class EdgeReset(ToxicFault):
    """Reset the connections on the edges: `after` so long from the first chunk that passes, again and again.

    Toxiproxy's toxic leaves a connection alone on which nothing passes. With the whole `share` the ones that
    are open when the fault strikes are therefore reset at once, idle ones in a pool too. With less they
    meet the toxic at their next chunk, if they were drawn, and are then closed without a reset: that is
    kept for connections made later, of which the spared ones end in a reset whenever a side closes them.
    """

    kind: ClassVar[str] = "edge_reset"
    mode: ClassVar[Mode] = Mode.LOSSY
    toxic: ClassVar[str] = "reset_peer"

    after: Duration = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds(self.after)

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes."""
        return {"timeout": round(seconds(self.after) * 1000)}

    def inject(self, site: Site, undo: Undo) -> None:
        """The toxic first, so that a pool that connects again meets it."""
        super().inject(site, undo)
        if self.share < 1:
            return
        for sidecar in undo.targets:
            places = [e["proxy"]["listen"] for e in undo.data["edges"] if e["sidecar"] == sidecar]
            ended = site.platform.exec(sidecar, ["bash", "-c", _ABORT, "abort", *places])
            if ended.code != 0:
                raise InjectionError(f"{sidecar}: connections are still open: {ended.output.strip()[-300:]}")

    def felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """Whether the probe was reset: see ToxicFault.felt."""
        limit_s = seconds(self.after) + 1
        told = self.probe(site, edge, _PROBE, f"{limit_s:.1f}", limit_s=limit_s)
        if any("reset by peer" in line for line in told):
            return "a probe was reset"
        if any(line == "answered" for line in told) and seconds(self.after) == 0:
            raise BiteError(f"{edge['edge']}: answered, not reset")
        return READ_BACK


@constructor
def edge_reset(
    target: str,
    upstream: str,
    port: int | None = None,
    after: Duration = 0,
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeReset:
    """Reset the connections from `target` to `upstream`: `edge_reset("app", "postgres.primary")`."""
    return EdgeReset(target, upstream, port, direction, after, share=share, **options)

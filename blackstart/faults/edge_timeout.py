"""Edge timeout: a black hole. Connections open, what is sent through them is never delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import READ_BACK, ToxicFault
from blackstart.faults.base import Options, Site
from blackstart.model.errors import BiteError

# Says something that every server answers or hangs up on, and prints how the wait for that ended.
_PROBE = r"""
exec 3<>"/dev/tcp/$1/$2" || exit
printf 'GET / HTTP/1.0\r\n\r\n' >&3; IFS= read -r -t "$3" -n 1 -u 3 _; code=$?
if [ $code = 0 ]; then echo answered; elif [ $code -gt 128 ]; then echo silent; fi
"""
#: Seconds that an answer would have.
_PATIENCE_S = 1.0


@register
@dataclass(frozen=True)
class EdgeTimeout(ToxicFault):
    """Drop what passes the edges in one direction or both. Undoing it closes the connections."""

    kind: ClassVar[str] = "edge_timeout"
    toxic: ClassVar[str] = "timeout"

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes; 0 ms: the connections stay open until the undo."""
        return {"timeout": 0}

    def felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """Whether the probe got no answer: see ToxicFault.felt."""
        told = self.probe(site, edge, _PROBE, f"{_PATIENCE_S:g}", limit_s=_PATIENCE_S)
        if "silent" in told:
            return f"a probe got no answer in {_PATIENCE_S:g} s"
        if "answered" in told:
            raise BiteError(f"{edge['edge']}: answered, not swallowed")
        return READ_BACK


@constructor
def edge_timeout(
    target: str,
    upstream: str,
    port: int | None = None,
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeTimeout:
    """Swallow what `target` and `upstream` say: `edge_timeout("front", "app-1", direction="downstream")`."""
    return EdgeTimeout(target, upstream, port, direction, share=share, **options)

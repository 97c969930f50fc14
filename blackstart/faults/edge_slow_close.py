"""Edge slow close: the end of a connection is passed on late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._registry import constructor, register
from blackstart.faults._toxics import READ_BACK, ToxicFault
from blackstart.faults.base import Options, Site
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode

# Says what makes a server of HTTP, Redis or most others hang up, and prints after how many ms it did.
_PROBE = r"""
t0=${EPOCHREALTIME/./}; exec 3<>"/dev/tcp/$1/$2" || exit
printf 'GET / HTTP/1.0\r\n\r\nQUIT\r\n' >&3; IFS= read -r -d '' -t "$3" -u 3 _
[ $? -gt 128 ] && exit
t1=${EPOCHREALTIME/./}; echo $(( (t1 - t0) / 1000 ))
"""


@register
@dataclass(frozen=True)
class EdgeSlowClose(ToxicFault):
    """Hold back the end of every connection on the edges for `delay`; what was said arrives in time."""

    kind: ClassVar[str] = "edge_slow_close"
    mode: ClassVar[Mode] = Mode.SLOW
    toxic: ClassVar[str] = "slow_close"

    delay: Duration = "5s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.delay) < 0.001:
            raise ConfigError(f"a delay of {self.delay!r} is none: Toxiproxy counts whole milliseconds")

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes."""
        return {"delay": round(seconds(self.delay) * 1000)}

    def felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """After how long the probe was hung up on: see ToxicFault.felt."""
        if self.direction == "upstream" or seconds(self.delay) > 3:
            return READ_BACK
        limit_s = seconds(self.delay) + 1
        told = self.probe(site, edge, _PROBE, f"{limit_s:.1f}", limit_s=limit_s)
        elapsed_ms = [int(line) for line in told if line.isdigit()]
        if not elapsed_ms:
            return READ_BACK
        if max(elapsed_ms) < 900 * seconds(self.delay):
            raise BiteError(
                f"{edge['edge']}: hung up after {max(elapsed_ms)} ms, not {human(seconds(self.delay))} late"
            )
        return f"hung up after {max(elapsed_ms)} ms"


@constructor
def edge_slow_close(
    target: str,
    upstream: str,
    port: int | None = None,
    delay: Duration = "5s",
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeSlowClose:
    """Have hang-ups arrive late: `edge_slow_close("app-1", "llm-1", delay="10s")`."""
    return EdgeSlowClose(target, upstream, port, direction, delay, share=share, **options)

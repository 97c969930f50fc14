"""Edge latency: what one instance sends to another, or is answered, arrives late."""

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

# Sends a request and waits for the first byte or the end, printing ms: the delay as a client would feel it.
# Whatever listens answers something or hangs up; the request is of no protocol's harmful kind.
_PROBE = r"""
t0=${EPOCHREALTIME/./}; exec 3<>"/dev/tcp/$1/$2" || exit 1
printf 'GET / HTTP/1.0\r\n\r\n' >&3; IFS= read -r -t "$3" -n 1 -u 3 _; code=$?
[ $code -gt 128 ] && exit 2
t1=${EPOCHREALTIME/./}; echo $(( (t1 - t0) / 1000 )) $code
"""


@register
@dataclass(frozen=True)
class EdgeLatency(ToxicFault):
    """Delay what passes the edges by `latency`, give or take up to `jitter`, in one direction or both."""

    kind: ClassVar[str] = "edge_latency"
    mode: ClassVar[Mode] = Mode.SLOW
    toxic: ClassVar[str] = "latency"

    latency: Duration = "800ms"
    jitter: Duration = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.latency) < 0.001:
            raise ConfigError(f"a latency of {self.latency!r} is none: Toxiproxy counts whole milliseconds")
        if seconds(self.jitter) > seconds(self.latency):
            raise ConfigError(f"jitter {self.jitter!r} is more than the latency {self.latency!r}")

    def attributes(self) -> dict[str, int]:
        """See ToxicFault.attributes."""
        return {"latency": round(seconds(self.latency) * 1000), "jitter": round(seconds(self.jitter) * 1000)}

    def felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """After how long the first answer came: see ToxicFault.felt."""
        expected_s = seconds(self.latency) - seconds(self.jitter)
        # Generous for both directions; an upstream that waits for more is not worth more than 10 s.
        limit_s = min(10.0, 2 * (seconds(self.latency) + seconds(self.jitter)) + 1)
        told = self.probe(site, edge, _PROBE, f"{limit_s:.1f}", limit_s=limit_s)
        try:
            elapsed_ms, code = max(tuple(map(int, line.split())) for line in told if line)
        except ValueError:
            return READ_BACK
        # A hang-up is passed on at once, only what is said is delayed: it shows the way there alone.
        if code != 0 and self.direction == "downstream":
            return f"{READ_BACK}: hung up without an answer"
        if elapsed_ms < 900 * expected_s:
            raise BiteError(f"{edge['edge']}: answered after {elapsed_ms} ms, not {human(expected_s)} late")
        return f"first answer after {elapsed_ms} ms"


@constructor
def edge_latency(
    target: str,
    upstream: str,
    port: int | None = None,
    latency: Duration = "800ms",
    jitter: Duration = 0,
    direction: str = "both",
    share: float = 1.0,
    **options: Unpack[Options],
) -> EdgeLatency:
    """Slow the edges from `target` to `upstream`: `edge_latency("app", "llm-1", latency="2s")`."""
    return EdgeLatency(target, upstream, port, direction, latency, jitter, share=share, **options)

"""Edge latency: what one instance sends to another, or is answered, arrives late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults._edges import EdgeFault, proxies, shown
from blackstart.faults._registry import register
from blackstart.faults.base import Site, Undo
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError, ConfigError, HarnessError
from blackstart.toxiproxy.client import EdgeProxy

#: The streams of each direction, as seen from the caller (Toxiproxy's own words).
DIRECTIONS = {"both": ("upstream", "downstream"), "upstream": ("upstream",), "downstream": ("downstream",)}

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
class EdgeLatency(EdgeFault):
    """Delay what passes the edges by `latency`, give or take up to `jitter`, in one direction or both."""

    kind: ClassVar[str] = "edge_latency"

    latency: Duration = "800ms"
    jitter: Duration = 0
    direction: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.latency) < 0.001:
            raise ConfigError(f"a latency of {self.latency!r} is none: Toxiproxy counts whole milliseconds")
        if seconds(self.jitter) > seconds(self.latency):
            raise ConfigError(f"jitter {self.jitter!r} is more than the latency {self.latency!r}")
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"unknown direction {self.direction!r}; known: {', '.join(DIRECTIONS)}")

    def details(self) -> dict[str, Any]:
        """The names of the toxics to remove."""
        return {"toxics": {stream: f"blackstart_latency_{stream}" for stream in DIRECTIONS[self.direction]}}

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for _, proxy in proxies(site, undo):
            for stream, name in undo.data["toxics"].items():
                proxy.add_toxic(type="latency", stream=stream, name=name, attributes=self._attributes())

    def bite(self, site: Site, undo: Undo) -> str:
        """The toxics read back, and a probe through the first edge felt them, where it can."""
        seen = proxies(site, undo)
        for edge, proxy in seen:
            toxics = proxy.toxics()
            for stream, name in undo.data["toxics"].items():
                if name not in toxics or toxics[name].attributes != self._attributes():
                    raise BiteError(f"{edge['edge']}: no latency {stream}")
        edges = ", ".join(edge["edge"] for edge, _ in seen)
        return f"latency {shown(self._attributes())} on {edges}; {self._felt(site, seen[0][0])}"

    def _attributes(self) -> dict[str, int]:
        return {"latency": round(seconds(self.latency) * 1000), "jitter": round(seconds(self.jitter) * 1000)}

    def _felt(self, site: Site, edge: Mapping[str, Any]) -> str:
        """The delay in words; BiteError if one could be measured and is too short."""
        host, port = edge["proxy"]["listen"].rsplit(":", 1)
        expected_s = seconds(self.latency) - seconds(self.jitter)
        # Generous for both directions; an upstream that waits for more is not worth more than 10 s.
        limit_s = min(10.0, 2 * (seconds(self.latency) + seconds(self.jitter)) + 1)
        try:
            argv = ["bash", "-c", _PROBE, "probe", host, port, f"{limit_s:.1f}"]
            result = site.platform.exec(edge["sidecar"], argv, timeout=limit_s + 2)
            elapsed_ms, code = map(int, result.output.split())
        except (HarnessError, ValueError):
            return "delay not measurable here"
        # A hang-up is passed on at once, only what is said is delayed: it shows the way there alone.
        if code != 0 and self.direction == "downstream":
            return "delay not measurable here (hung up without an answer)"
        if elapsed_ms < 900 * expected_s:
            raise BiteError(f"{edge['edge']}: answered after {elapsed_ms} ms, not {human(expected_s)} late")
        return f"first answer after {elapsed_ms} ms"

    @classmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """See EdgeFault.restore."""
        for name in undo.data["toxics"].values():
            if name in proxy.toxics():
                proxy.destroy_toxic(name)

    @classmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """See EdgeFault.wrong."""
        left = set(undo.data["toxics"].values()) & set(proxy.toxics())
        return f"still carries {', '.join(sorted(left))}" if left else None


def edge_latency(
    target: str,
    upstream: str,
    port: int | None = None,
    latency: Duration = "800ms",
    jitter: Duration = 0,
    direction: str = "both",
    **options: Duration,
) -> EdgeLatency:
    """Slow the edges from `target` to `upstream`: `edge_latency("app", "llm-1", latency="2s")`."""
    return EdgeLatency(target, upstream, port, latency, jitter, direction, **options)

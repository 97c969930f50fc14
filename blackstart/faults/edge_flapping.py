"""Edge flapping: one instance loses another and has it back, again and again, as over a loose contact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults import _helpers
from blackstart.faults._containers import on_each
from blackstart.faults._edges import REQUESTS, EdgeFault, Request, proxies
from blackstart.faults._inside import by_hand
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError, ConfigError, PlatformError
from blackstart.toxiproxy.client import PROXY_API_PORT, EdgeProxy

# Down and up in turn until its time is over, then up. In the sidecar it needs no process of the harness.
_FLAP = (
    REQUESTS
    + r"""
port=$1 down=$2 up=$3 end=$((${EPOCHREALTIME/./} + $4)); shift 4
all() { for p in "${proxies[@]}"; do ask "$port" POST "/proxies/$p" "{\"enabled\": $1}" & done; wait; }
proxies=("$@")
while [ ${EPOCHREALTIME/./} -lt $end ]; do all false; sleep "$down"; all true; sleep "$up"; done
"""
)


@register
@dataclass(frozen=True)
class EdgeFlapping(EdgeFault):
    """Disable the proxies of the edges for `down`, enable them for `up`, and so on. Undone leaves them up.

    A helper in the sidecar does it, for at most `max_duration`.
    """

    kind: ClassVar[str] = "edge_flapping"

    down: Duration = "1s"
    up: Duration = "1s"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("down", self.down), ("up", self.up)):
            if seconds(value) < 0.1:
                raise ConfigError(f"{name} {value!r} is too short; valid is 100 ms or more")
        if seconds(self.down) + seconds(self.up) > seconds(self.max_duration):
            raise ConfigError(
                f"down {self.down!r} and up {self.up!r} are longer than max_duration {self.max_duration!r}"
            )

    def details(self, id: str) -> dict[str, Any]:
        """What the helper is called."""
        return {"helper": f"{_helpers.PREFIX}-flap-{id}"}

    def restoring(self, proxy: str, data: Mapping[str, Any]) -> list[Request]:
        """See EdgeFault.restoring."""
        return [("POST", f"/proxies/{proxy}", '{"enabled": true}')]

    def by_hand(self, data: Mapping[str, Any]) -> str:
        """See EdgeFault.by_hand."""
        return by_hand(self.expiry(data))

    def expiry(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """End the helper first, lest it goes on."""
        found = super().expiry(data)
        return {n: _helpers.ending_before(data["helper"], command) for n, command in found.items()}

    def inject(self, site: Site, undo: Undo) -> None:
        """Start the helpers."""
        for sidecar in undo.targets:
            names = [e["proxy"]["name"] for e in undo.data["edges"] if e["sidecar"] == sidecar]
            times = [f"{seconds(self.down):.3f}", f"{seconds(self.up):.3f}"]
            end_us = str(round(seconds(self.max_duration) * 1e6))
            command = _helpers.starting(
                undo.data["helper"], _FLAP, str(PROXY_API_PORT), *times, end_us, *names, shell="bash"
            )
            started = site.platform.exec(sidecar, command)
            if started.code != 0:
                raise PlatformError(f"{sidecar}: no helper: {started.output.strip()[-300:]}")

    @property
    def bite_limit(self) -> float:  # type: ignore[override]  # here it depends on the parameters
        """A look may miss the edges while they are down, even twice."""
        return 5.0 + 2 * (seconds(self.down) + seconds(self.up))

    def bite(self, site: Site, undo: Undo) -> str:
        """Every edge is down at one look, and a helper is there to have it up and down again."""
        # The quick look first: repeated, it meets a time down of 100 ms.
        seen = proxies(site, undo)
        if up := [edge["edge"] for edge, proxy in seen if proxy.enabled]:
            raise BiteError(f"up now: {', '.join(up)}")
        for sidecar in undo.targets:
            if not _helpers.there(site.platform, sidecar, undo.data["helper"]):
                raise BiteError(f"{sidecar}: its helper is gone")
        rhythm = f"down for {human(seconds(self.down))}, up for {human(seconds(self.up))}"
        return f"{rhythm}; seen down: {', '.join(edge['edge'] for edge, _ in seen)}"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """End the helpers, then enable the proxies."""
        try:
            on_each(undo.targets, lambda sidecar: _helpers.end(platform, sidecar, undo.data["helper"]))
        finally:
            super().undo(undo, platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for sidecar in undo.targets:
            if _helpers.there(platform, sidecar, undo.data["helper"]):
                return f"{sidecar}: its helper is still there"
        return super().undone(undo, platform)

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
def edge_flapping(
    target: str,
    upstream: str,
    port: int | None = None,
    down: Duration = "1s",
    up: Duration = "1s",
    **options: Unpack[Options],
) -> EdgeFlapping:
    """Cut and mend the edges in turn: `edge_flapping("app-1", "redis.primary", down="500ms", up="2s")`."""
    return EdgeFlapping(target, upstream, port, down, up, **options)

"""Node kill: an instance is gone with its network, as when its host loses power. Nobody says goodbye."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults import _pods
from blackstart.faults._containers import at_once, containers
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, HarnessError, PlatformError
from blackstart.model.modes import Mode

# From then on the namespace is silent: dying processes would still close their connections in order.
_MUTE = """table inet {table} {{
chain in {{
type filter hook input priority -300; policy drop;
}}
chain out {{
type filter hook output priority -300; policy drop;
}}
}}"""
_UNMUTE = 'if nft list table inet "$1" >/dev/null 2>&1; then nft delete table inet "$1"; fi'


@register
@dataclass(frozen=True)
class NodeKill(Fault):
    """Mute the network of `target`, then SIGKILL its sidecar and its service.

    Connections to it hang until their owners give up, new ones find no host, its name is no longer known.
    What the service keeps in its container is there again after the undo, which makes every edge anew.
    """

    kind: ClassVar[str] = "node_kill"
    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("kill", "exec", "pause")
    grace: ClassVar[float] = 15.0

    target: str

    def plan(self, site: Site) -> Undo:
        """The record holds each pod's edges; InjectionError if one does not run."""
        containers(site, self.target, "there is nothing to kill")
        id = fresh_id()
        pods = [_pods.pod_of(site, i.name) for i in site.resolve(self.target)]
        names = tuple(pod[part] for pod in pods for part in ("sidecar", "service"))
        data = {"pods": pods, "table": f"blackstart_{id}"}
        # Its edges are lost with it, and no command a person would type makes them.
        manual = f"blackstart heal, or: docker start {shlex.join(names)}, then populate the edges"
        return Undo(self.kind, site.run_id, names, data, manual, id=id)

    def inject(self, site: Site, undo: Undo) -> None:
        """Returns once all are down."""
        for pod in undo.data["pods"]:
            muted = site.platform.exec(pod["sidecar"], ["nft", _MUTE.format(table=undo.data["table"])])
            if muted.code != 0:
                raise PlatformError(f"{pod['sidecar']}: not muted: {muted.output.strip()[-300:]}")
        at_once(undo.targets, site.platform.kill)

    def bite(self, site: Site, undo: Undo) -> str:
        """All its containers are down."""
        if running := [name for name in undo.targets if site.platform.is_running(name)]:
            raise BiteError(f"still running: {', '.join(running)}")
        return f"down: {', '.join(undo.targets)}"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Sidecars first, then their edges, then the services in their new networks; all pods, then raise."""
        errors = []
        for pod in undo.data["pods"]:
            try:
                if platform.is_running(pod["sidecar"]):
                    platform.exec(pod["sidecar"], ["sh", "-c", _UNMUTE, "unmute", undo.data["table"]])
                _pods.revive(pod, platform)
            except HarnessError as error:
                errors.append(f"{pod['sidecar']}: {error}")
        if errors:
            raise PlatformError("; ".join(errors))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        return next((wrong for pod in undo.data["pods"] if (wrong := _pods.amiss(pod, platform))), None)

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Kill once more what did not come up well, and start it anew."""
        for pod in undo.data["pods"]:
            if _pods.amiss(pod, platform):
                _pods.renew(pod, platform)


@constructor
def node_kill(target: str, **options: Unpack[Options]) -> NodeKill:
    """Lose the node of an instance: `node_kill("postgres.primary")`."""
    return NodeKill(target, **options)

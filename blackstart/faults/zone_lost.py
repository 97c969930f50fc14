"""Zone lost: everything in one zone stops at once, sidecars included."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Unpack

import requests

from blackstart.faults._containers import let_go_on, refuse_down
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode
from blackstart.model.stack import Instance, Stack

_SILENT_S = 0.5


@register
@dataclass(frozen=True)
class ZoneLost(Fault):
    """Freeze every container of every instance in the zone `target`: nothing there answers any more.

    Connections to the zone hang, as when its network drops everything; they are not refused, and what was
    held in memory is there again afterwards. Hosts that lose power are what killing their nodes is for.
    Nothing inside a frozen container could end this, so no helper there does.
    """

    kind: ClassVar[str] = "zone_lost"
    mode: ClassVar[Mode] = Mode.FROZEN
    ends: ClassVar[tuple[str, ...]] = ()
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("pause",)
    grace: ClassVar[float] = 10.0

    target: str

    def validate(self, stack: Stack) -> None:
        """ConfigError names the zones there are; losing the only one leaves no service to look at."""
        zones = sorted({i.zone for i in stack.instances})
        if self.target not in zones:
            raise ConfigError(
                f"stack {stack.name!r} has no zone {self.target!r}; its zones: {', '.join(zones)}"
            )
        if len(zones) == 1:
            raise ConfigError(f"stack {stack.name!r} has no other zone than {self.target!r}")

    def meant(self, stack: Stack) -> tuple[tuple[Instance, ...], ...]:
        """See Fault.meant: all instances of the zone."""
        return (tuple(i for i in stack.instances if i.zone == self.target),)

    def plan(self, site: Site) -> Undo:
        """InjectionError if a part is down or frozen already: its undo would not be ours."""
        lost = [i.name for group in self.meant(site.stack) for i in group]
        # The services first: a service that still runs must not see its sidecar hang.
        names = (*map(site.container, lost), *map(site.sidecar, lost))
        refuse_down(site.platform, names, f"zone {self.target} cannot be lost")
        apis = {name: site.proxy_api(name) for name in lost}
        return Undo(self.kind, site.run_id, names, {"apis": apis}, f"docker unpause {shlex.join(names)}")

    def inject(self, site: Site, undo: Undo) -> None:
        """All at once, or as near as the engine can."""
        with ThreadPoolExecutor(16, thread_name_prefix="zone") as pool:
            list(pool.map(site.platform.pause, undo.targets))

    def bite(self, site: Site, undo: Undo) -> str:
        """Every part is frozen, and who asks the pods of the zone gets no answer."""
        if running := [name for name in undo.targets if not site.platform.is_paused(name)]:
            raise BiteError(f"not paused: {', '.join(running)}")
        apis = undo.data["apis"]
        with ThreadPoolExecutor(16, thread_name_prefix="zone") as pool:
            answers = dict(zip(apis, pool.map(_answers, apis.values()), strict=True))
        if spoke := [name for name, answered in answers.items() if answered]:
            raise BiteError(f"still answer: {', '.join(spoke)}")
        return f"no answer from {', '.join(apis)}"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """The sidecars first: a service that goes on must find its network."""
        let_go_on(reversed(undo.targets), platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        frozen = [name for name in undo.targets if platform.is_paused(name)]
        return f"still paused: {', '.join(frozen)}" if frozen else None


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(f"{url}/version", timeout=_SILENT_S)
        except requests.RequestException:
            return False
    return True


@constructor
def zone_lost(target: str, **options: Unpack[Options]) -> ZoneLost:
    """Lose a zone: `zone_lost("b")`."""
    return ZoneLost(target, **options)

"""Freeze: every process of a container stops where it is, as on a host that stalls; its sockets stay open."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, let_go_on
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class Freeze(Fault):
    """Freeze the service's container; its sidecar goes on accepting connections on its behalf."""

    kind: ClassVar[str] = "freeze"
    mode: ClassVar[Mode] = Mode.FROZEN
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("pause",)

    target: str

    def plan(self, site: Site) -> Undo:
        """InjectionError if one is frozen already: its undo would not be ours."""
        names = containers(site, self.target, "it cannot be frozen")
        return Undo(self.kind, site.run_id, names, {}, f"docker unpause {shlex.join(names)}")

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            site.platform.pause(name)

    def bite(self, site: Site, undo: Undo) -> str:
        """The engine says that it is paused."""
        for name in undo.targets:
            if not site.platform.is_paused(name):
                raise BiteError(f"{name} is not paused")
        return f"paused: {', '.join(undo.targets)}"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Let the frozen containers go on."""
        let_go_on(undo.targets, platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        frozen = [name for name in undo.targets if platform.is_paused(name)]
        return f"still paused: {', '.join(frozen)}" if frozen else None


@constructor
def freeze(target: str, **options: Unpack[Options]) -> Freeze:
    """Freeze `target`: `freeze("redis.primary")`."""
    return Freeze(target, **options)
